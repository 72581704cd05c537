//! Steps about all the neighbours of a node: read them, or lower a number of each.

use wavetank_world::operation::{OperationStep, TokenKind};

use super::lexer::Word;
use super::parser::{Parser, Slip};
use super::scope::intern;

/// The most nodes that one `expand` or `walk` reads.
const MOST_READ: i64 = 1_000_000;

impl Parser {
    pub(super) fn expand(&mut self, walk: bool) -> Result<(), Slip> {
        let path = self.path()?;
        let path = self.known_path(&path)?;
        self.keyword("limit")?;
        let at = self.at();
        let limit = match self.next() {
            Word::Number(limit) if (1..=MOST_READ).contains(&limit) => limit as u32,
            Word::Number(_) => {
                return Err(Slip::new(at, format!("the limit lies between 1 and {MOST_READ}")));
            }
            other => return Err(Slip::expected(at, "how many nodes at the most", &other)),
        };
        let each = if self.takes("return") { Some(self.key()?) } else { None };
        let place = if each.is_some() { self.place()? } else { 0 };
        self.step(match walk {
            true => OperationStep::Walk { path, limit, each, place },
            false => OperationStep::Expand { path, limit, each, place },
        });
        Ok(())
    }

    pub(super) fn lower(&mut self) -> Result<(), Slip> {
        let key = self.key()?;
        self.keyword("of")?;
        let written = self.path()?;
        let path = self.known_path(&written)?;
        if path.to.is_some() {
            let label = "all at the other ends are lowered: write `()` there";
            return Err(Slip::new(written.kind_at, label));
        }
        let mut through = None;
        if *self.peek() == Word::Sign("-") {
            self.next();
            self.sign("[")?;
            self.sign(":")?;
            let name = self.name("the type of a relationship")?;
            through = Some(intern(&mut self.program, TokenKind::RelationshipType, &name));
            for sign in ["]", "->", "(", ")"] {
                self.sign(sign)?;
            }
        }
        self.step(OperationStep::Lower { path, key, through });
        Ok(())
    }
}
