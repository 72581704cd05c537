//! Values, conditions and paths: the parts that steps are made of.

use std::ops::Range;

use wavetank_world::operation::{
    Comparison, Direction, Expression, Name, Operand, OperationStep, Path, Slot, Test, TokenKind,
};

use super::lexer::Word;
use super::parser::{Parser, Slip};
use super::scope::{Thing, intern};
use crate::section::nearest;

/// The parameters, and what each stands for.
const PARAMETERS: [(&str, Operand); 5] = [
    ("me", Operand::Me),
    ("other", Operand::Other),
    ("fresh", Operand::Operation),
    ("operation", Operand::Operation),
    ("now", Operand::Now),
];

/// What `text(N)` is made of, over and over.
const FILLER: &str = "the quick brown fox jumps over the lazy dog and goes on to chase the \
                      next one, which is a little slower than the one before it was, and so \
                      on until the status of this user has grown as long as it has to be.";
/// The longest of these.
const LONGEST_TEXT: i64 = 4096;

/// A path as it is written: nothing in it is bound yet.
pub(super) struct WrittenPath {
    from: End,
    to: End,
    direction: Direction,
    pub(super) relationship: Option<(String, Range<usize>)>,
    pub(super) kind: Option<Name>,
    /// Where its type stands, or should.
    pub(super) kind_at: Range<usize>,
    /// Values for the relationship's properties.
    pub(super) properties: Vec<(Name, Expression)>,
}

/// The node at an end of a path: a name, or `()`.
struct End {
    name: Option<String>,
    at: Range<usize>,
}

impl Parser {
    /// `operand`, `operand + operand` or `operand - operand`.
    pub(super) fn expression(&mut self) -> Result<Expression, Slip> {
        let first = self.operand()?;
        let minus = match self.peek() {
            Word::Sign("+") => false,
            Word::Sign("-") => true,
            _ => return Ok(first.into()),
        };
        self.next();
        let second = self.operand()?;
        if matches!(self.peek(), Word::Sign("+" | "-")) {
            return Err(Slip::new(self.at(), "a sum has two parts; more take a `let`"));
        }
        Ok(Expression { first, second: Some((minus, second)) })
    }

    fn operand(&mut self) -> Result<Operand, Slip> {
        let at = self.at();
        match self.next() {
            Word::Number(number) => Ok(Operand::Int(number)),
            Word::Sign("-") => match self.next() {
                Word::Number(number) => Ok(Operand::Int(-number)),
                _ => Err(Slip::new(at, "expected a number after `-`")),
            },
            Word::Text(text) => Ok(Operand::Text(text.into())),
            Word::Parameter(name) if self.given.contains_key(&name) => {
                Ok(self.given[&name].clone())
            }
            Word::Parameter(name) => {
                let found = PARAMETERS.into_iter().find(|(known, _)| *known == name);
                found.map(|(_, operand)| operand).ok_or_else(|| {
                    let names = PARAMETERS.map(|(known, _)| known);
                    let slip = Slip::new(at, format!("there is no parameter `${name}`"));
                    match nearest(&name, names) {
                        Some(near) => slip.help(format!("a similar name is `${near}`")),
                        None => slip.help("known: $me, $other, $fresh, $operation, $now"),
                    }
                })
            }
            Word::Name(name) => match (name.as_str(), self.peek()) {
                ("null", _) => Ok(Operand::Null),
                ("true", _) => Ok(Operand::Flag(true)),
                ("false", _) => Ok(Operand::Flag(false)),
                ("text", Word::Sign("(")) => self.filler(),
                (_, Word::Sign(".")) => {
                    let (of, _) = self.entity_called(&name, at.clone())?;
                    self.next();
                    let key = self.key()?;
                    let into = self.scope.hide(&at)?;
                    self.step(OperationStep::Load { into, of, key });
                    Ok(Operand::Variable(into))
                }
                _ => match self.scope.find(&name) {
                    Some((slot, Thing::Value)) => Ok(Operand::Variable(slot)),
                    Some((_, thing)) => {
                        Err(Slip::new(at, format!("`{name}` is {}, not a value", thing.name()))
                            .help(format!("a property of it is written {name}.key")))
                    }
                    None => Err(self.scope.unknown(&name, at)),
                },
            },
            other => Err(Slip::expected(at, "a value", &other)),
        }
    }

    fn filler(&mut self) -> Result<Operand, Slip> {
        self.sign("(")?;
        let at = self.at();
        let Word::Number(length) = self.next() else {
            return Err(Slip::new(at, "expected how many characters, such as text(64)"));
        };
        if !(0..=LONGEST_TEXT).contains(&length) {
            return Err(Slip::new(at, format!("a text has at most {LONGEST_TEXT} characters")));
        }
        self.sign(")")?;
        let text: String = FILLER.chars().cycle().take(length as usize).collect();
        Ok(Operand::Text(text.into()))
    }

    /// The key of a property.
    pub(super) fn key(&mut self) -> Result<Name, Slip> {
        let at = self.at();
        let name = self.name("the key of a property")?;
        if name == "id" {
            return Err(Slip::new(at, "`id` is the number that the store gives a node")
                .help("only `match` can ask for it, as in `match u:User(id = $me)`"));
        }
        Ok(intern(&mut self.program, TokenKind::PropertyKey, &name))
    }

    /// `(key = value, ...)`; nothing where no bracket stands.
    pub(super) fn properties(&mut self) -> Result<Vec<(Name, Expression)>, Slip> {
        let mut properties = Vec::new();
        if *self.peek() != Word::Sign("(") {
            return Ok(properties);
        }
        self.next();
        loop {
            let at = self.at();
            let key = self.key()?;
            if properties.iter().any(|(known, _)| *known == key) {
                return Err(Slip::new(at, "this property is given twice"));
            }
            self.sign("=")?;
            properties.push((key, self.expression()?));
            if *self.peek() != Word::Sign(",") {
                break;
            }
            self.next();
        }
        self.sign(")")?;
        Ok(properties)
    }

    /// `not`, and a path, `node:Label`, `exists :Label(key = value)`, or a comparison: the test and
    /// the outcome asked for.
    pub(super) fn condition(&mut self) -> Result<(Test, bool), Slip> {
        let negated = *self.peek() == Word::Name("not".into());
        if negated {
            self.next();
        }
        if *self.peek() == Word::Sign("(") {
            let path = self.path()?;
            let path = self.known_path(&path)?;
            return Ok((Test::Path(path), !negated));
        }
        if *self.peek() == Word::Name("exists".into()) && *self.peek_second() == Word::Sign(":") {
            self.next();
            let label = self.label()?;
            self.sign("(")?;
            let key = self.key()?;
            self.sign("=")?;
            let value = self.expression()?;
            self.sign(")")?;
            return Ok((Test::Found(label, key, value), !negated));
        }
        if *self.peek_second() == Word::Sign(":")
            && let Word::Name(name) = self.peek().clone()
        {
            let at = self.at();
            self.next();
            let node = self.node_called(&name, at)?;
            let label = self.label()?;
            return Ok((Test::Label(node, label), !negated));
        }
        let left = self.expression()?;
        let at = self.at();
        let by = match self.next() {
            Word::Sign("=") if *self.peek() == Word::Sign("=") => {
                return Err(Slip::new(at.start..at.end + 1, "one `=` compares"));
            }
            Word::Sign("=") => Comparison::Equal,
            Word::Sign("!=") => Comparison::Different,
            Word::Sign("<") => Comparison::Less,
            Word::Sign("<=") => Comparison::LessOrEqual,
            Word::Sign(">") => Comparison::Greater,
            Word::Sign(">=") => Comparison::GreaterOrEqual,
            other => {
                return Err(Slip::expected(at, "`=`, `!=`, `<`, `<=`, `>` or `>=`", &other));
            }
        };
        Ok((Test::Compare(left, by, self.expression()?), !negated))
    }

    /// `:Label`.
    pub(super) fn label(&mut self) -> Result<Name, Slip> {
        self.sign(":")?;
        let name = self.name("a label")?;
        Ok(intern(&mut self.program, TokenKind::Label, &name))
    }

    /// `(a)-[r:TYPE(key = value)]->(b)`, either way round.
    pub(super) fn path(&mut self) -> Result<WrittenPath, Slip> {
        let from = self.end()?;
        let at = self.at();
        let incoming = match self.next() {
            Word::Sign("-") => false,
            Word::Sign("<-") => true,
            other => {
                return Err(Slip::expected(at, "a relationship such as -[:FOLLOWS]->", &other));
            }
        };
        self.sign("[")?;
        let mut relationship = None;
        if let Word::Name(name) = self.peek().clone() {
            relationship = Some((name, self.at()));
            self.next();
        }
        let kind_at = self.at();
        let mut kind = None;
        if *self.peek() == Word::Sign(":") {
            self.next();
            let name = self.name("the type of a relationship")?;
            kind = Some(intern(&mut self.program, TokenKind::RelationshipType, &name));
        }
        let properties = self.properties()?;
        self.sign("]")?;
        let at = self.at();
        let direction = match (incoming, self.next()) {
            (true, Word::Sign("-")) => Direction::Incoming,
            (false, Word::Sign("->")) => Direction::Outgoing,
            (false, Word::Sign("-")) => Direction::Both,
            (true, Word::Sign("->")) => {
                return Err(Slip::new(at, "a relationship has one direction")
                    .help("without an arrow, as in (a)-[:T]-(b), it is looked for both ways"));
            }
            (_, other) => return Err(Slip::expected(at, "`->` or `-`", &other)),
        };
        let to = self.end()?;
        Ok(WrittenPath { from, to, direction, relationship, kind, kind_at, properties })
    }

    fn end(&mut self) -> Result<End, Slip> {
        let start = self.at().start;
        self.sign("(")?;
        let name = match self.peek().clone() {
            Word::Name(name) => {
                self.next();
                Some(name)
            }
            _ => None,
        };
        let at = start..self.at().end;
        self.sign(")")?;
        Ok(End { name, at })
    }

    /// A path whose first node is bound and whose last one is bound or `()`.
    pub(super) fn known_path(&mut self, path: &WrittenPath) -> Result<Path, Slip> {
        self.no_properties(path)?;
        if let Some((name, at)) = &path.relationship {
            let label = format!("`{name}` would be given a relationship here");
            return Err(Slip::new(at.clone(), label).help("only `match` and `create` give names"));
        }
        let from = self.bound_end(&path.from)?;
        let to = match &path.to.name {
            None => None,
            Some(_) => Some(self.bound_end(&path.to)?),
        };
        Ok(Path { from, direction: path.direction, kind: path.kind, to })
    }

    /// A path to create or merge: both ends bound, of one direction and with a type.
    pub(super) fn whole_path(&mut self, path: &WrittenPath) -> Result<(Path, Slot, Name), Slip> {
        let (Some(kind), true) = (path.kind, path.direction != Direction::Both) else {
            return Err(Slip::new(
                path.kind_at.clone(),
                "a new relationship needs a type and a direction",
            )
            .help("for example (a)-[:FOLLOWS]->(b)"));
        };
        let from = self.bound_end(&path.from)?;
        let to = self.bound_end(&path.to)?;
        let path = Path { from, direction: path.direction, kind: Some(kind), to: Some(to) };
        Ok((path, to, kind))
    }

    /// A path to match: one end is bound; the other is, or gets its name here.
    pub(super) fn found_path(
        &mut self,
        path: &WrittenPath,
    ) -> Result<(Path, Option<Slot>, Option<Slot>), Slip> {
        self.no_properties(path)?;
        let known =
            |end: &End| end.name.as_ref().is_some_and(|name| self.scope.find(name).is_some());
        let turned = !known(&path.from) && known(&path.to);
        let (from, to) = if turned { (&path.to, &path.from) } else { (&path.from, &path.to) };
        let direction = match (turned, path.direction) {
            (true, Direction::Outgoing) => Direction::Incoming,
            (true, Direction::Incoming) => Direction::Outgoing,
            (_, direction) => direction,
        };
        let from = self.bound_end(from)?;
        let (mut bound, mut new) = (None, None);
        if let Some(name) = &to.name {
            match self.scope.find(name) {
                Some(_) => bound = Some(self.bound_end(to)?),
                None => new = Some(self.scope.give(name, Thing::Node, &to.at)?),
            }
        }
        let relationship = match &path.relationship {
            Some((name, at)) => Some(self.scope.give(name, Thing::Relationship, at)?),
            None => None,
        };
        Ok((Path { from, direction, kind: path.kind, to: bound }, relationship, new))
    }

    fn no_properties(&self, path: &WrittenPath) -> Result<(), Slip> {
        if path.properties.is_empty() {
            return Ok(());
        }
        Err(Slip::new(path.kind_at.clone(), "a relationship is not looked for by its properties"))
    }

    fn bound_end(&mut self, end: &End) -> Result<Slot, Slip> {
        match &end.name {
            Some(name) => self.node_called(name, end.at.clone()),
            None => Err(Slip::new(end.at.clone(), "which node? a name is needed here")),
        }
    }
}
