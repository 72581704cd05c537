//! A reader of the part of EDN that histories are written in, and of JSON into the same forms.
//!
//! Facts: the EDN specification (github.com/edn-format/edn).

use super::HistoryError;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Form {
    /// Byte in the text.
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Nil,
    Int(i64),
    /// A keyword without its colon, a symbol, a string, any other atom.
    Word(String),
    /// A list, vector or set.
    List(Vec<Form>),
    Map(Vec<(Form, Form)>),
}

impl Form {
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Form]> {
        match &self.kind {
            Kind::List(list) => Some(list),
            _ => None,
        }
    }

    /// The value under a key of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Form> {
        match &self.kind {
            Kind::Map(entries) => {
                entries.iter().find(|(k, _)| k.word() == Some(key)).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// As it would be printed: equal values print equally.
    pub(super) fn text(&self) -> String {
        match &self.kind {
            Kind::Nil => "nil".to_owned(),
            Kind::Int(value) => value.to_string(),
            Kind::Word(word) => word.clone(),
            Kind::List(list) => {
                let parts: Vec<String> = list.iter().map(Form::text).collect();
                format!("[{}]", parts.join(" "))
            }
            Kind::Map(map) => {
                let parts: Vec<String> =
                    map.iter().map(|(k, v)| format!("{} {}", k.text(), v.text())).collect();
                format!("{{{}}}", parts.join(", "))
            }
        }
    }
}

/// Every form at the top of an EDN text.
pub(super) fn read_edn(name: &str, text: &str) -> Result<Vec<Form>, HistoryError> {
    let mut reader = Reader { name, text, at: 0 };
    let mut forms = Vec::new();
    while let Some(form) = reader.form(0)? {
        forms.push(form);
    }
    Ok(forms)
}

/// How deep values may be nested: a history needs four.
const DEPTH: usize = 64;

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, at: usize, reason: impl Into<String>) -> HistoryError {
        HistoryError::at(self.name, self.text, at, reason)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// White space, commas and comments.
    fn skip(&mut self) {
        while let Some(c) = self.peek() {
            if c == ';' {
                self.at += self.text[self.at..].find('\n').unwrap_or(self.text.len() - self.at);
            } else if c.is_whitespace() || c == ',' {
                self.at += c.len_utf8();
            } else {
                break;
            }
        }
    }

    /// The next form, or none at the end of the text.
    fn form(&mut self, depth: usize) -> Result<Option<Form>, HistoryError> {
        self.skip();
        let at = self.at;
        let Some(c) = self.peek() else { return Ok(None) };
        if depth > DEPTH {
            return Err(self.error(at, format!("nested deeper than {DEPTH} levels")));
        }
        let kind = match c {
            '(' | '[' | '{' => {
                self.at += 1;
                self.collection(at, c, depth)?
            }
            ')' | ']' | '}' => return Err(self.error(at, format!("`{c}` closes nothing"))),
            '"' => Kind::Word(self.string(at)?),
            '#' => return self.dispatch(at, depth).map(Some),
            _ => self.atom(at),
        };
        Ok(Some(Form { at, kind }))
    }

    /// What begins with `#`: a set, a comment of one form, or a tag before a value.
    fn dispatch(&mut self, at: usize, depth: usize) -> Result<Form, HistoryError> {
        self.at += 1;
        let missing = |reader: &Self| reader.error(at, "nothing follows `#`");
        match self.peek() {
            Some('{') => {
                self.at += 1;
                let list = self.until('}', at, depth)?;
                Ok(Form { at, kind: Kind::List(list) })
            }
            Some('_') => {
                self.at += 1;
                self.form(depth + 1)?.ok_or_else(|| missing(self))?;
                self.form(depth + 1)?.ok_or_else(|| missing(self))
            }
            _ => {
                let tag = self.at;
                self.atom(tag);
                self.form(depth + 1)?.ok_or_else(|| missing(self))
            }
        }
    }

    fn collection(&mut self, at: usize, open: char, depth: usize) -> Result<Kind, HistoryError> {
        let close = match open {
            '(' => ')',
            '[' => ']',
            _ => '}',
        };
        let forms = self.until(close, at, depth)?;
        if open != '{' {
            return Ok(Kind::List(forms));
        }
        if forms.len() % 2 == 1 {
            let last = forms.last().map_or(at, |form| form.at);
            return Err(self.error(last, "a key without a value"));
        }
        let mut entries = Vec::with_capacity(forms.len() / 2);
        let mut forms = forms.into_iter();
        while let (Some(key), Some(value)) = (forms.next(), forms.next()) {
            entries.push((key, value));
        }
        Ok(Kind::Map(entries))
    }

    /// Forms up to the closing character.
    fn until(&mut self, close: char, open: usize, depth: usize) -> Result<Vec<Form>, HistoryError> {
        let mut forms = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                Some(c) if c == close => {
                    self.at += 1;
                    return Ok(forms);
                }
                Some(_) => forms.extend(self.form(depth + 1)?),
                None => {
                    let line = self.text[..open].matches('\n').count() + 1;
                    let end = self.text.trim_end().len();
                    return Err(self.error(
                        end,
                        format!(
                            "the history breaks off: line {line} opened what needs a `{close}`"
                        ),
                    ));
                }
            }
        }
    }

    fn string(&mut self, at: usize) -> Result<String, HistoryError> {
        self.at += 1;
        let mut value = String::new();
        let mut chars = self.text[self.at..].char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, other)) => value.push(other),
                    None => break,
                },
                other => value.push(other),
            }
        }
        Err(self.error(at, "the history breaks off: this string has no end"))
    }

    fn atom(&mut self, at: usize) -> Kind {
        let rest = &self.text[at..];
        let ends = |c: char| c.is_whitespace() || ",;()[]{}\"".contains(c);
        let length = rest.find(ends).unwrap_or(rest.len()).max(1);
        // A single delimiter never comes here; `max` keeps a stray character from standing still.
        let word = rest.get(..length).unwrap_or(rest);
        self.at += word.len();
        if word == "nil" {
            return Kind::Nil;
        }
        match word.parse() {
            Ok(value) => Kind::Int(value),
            Err(_) => Kind::Word(word.strip_prefix(':').unwrap_or(word).to_owned()),
        }
    }
}

/// One JSON value that begins at byte `at` of the text.
pub(super) fn read_json(
    name: &str,
    text: &str,
    at: usize,
    line: &str,
) -> Result<Form, HistoryError> {
    let value: serde_json::Value = serde_json::from_str(line).map_err(|error| {
        let column = error.column().saturating_sub(1).min(line.len());
        let what = if error.is_eof() {
            "the history breaks off inside this line".to_owned()
        } else {
            format!("not JSON: {error}")
        };
        HistoryError::at(name, text, at + column, what)
    })?;
    Ok(from_json(&value, at))
}

fn from_json(value: &serde_json::Value, at: usize) -> Form {
    use serde_json::Value as Json;
    let kind = match value {
        Json::Null => Kind::Nil,
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Kind::Word(number.to_string()), Kind::Int)
        }
        Json::Bool(value) => Kind::Word(value.to_string()),
        Json::String(word) => Kind::Word(word.clone()),
        Json::Array(list) => Kind::List(list.iter().map(|item| from_json(item, at)).collect()),
        Json::Object(map) => {
            let word = |key: &str| Form { at, kind: Kind::Word(key.to_owned()) };
            Kind::Map(map.iter().map(|(k, v)| (word(k), from_json(v, at))).collect())
        }
    };
    Form { at, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        read_edn("t", text).unwrap().iter().map(Form::text).collect()
    }

    #[test]
    fn what_histories_use_is_read() {
        let text = "; a comment\n[{:type :invoke, :value [1 nil]} #_ {:gone 1} #{2}] #inst \"x\"";
        assert_eq!(texts(text), ["[{type invoke, value [1 nil]} [2]]", "x"]);
        assert_eq!(texts("(1 -2 :a/b \"c d\")"), ["[1 -2 a/b c d]"]);
        assert_eq!(texts(" ;nothing"), Vec::<String>::new());
    }

    #[test]
    fn what_breaks_off_says_where() {
        for (text, line, reason) in [
            ("[{:a 1}\n {:b", 2, "line 2 opened"),
            ("[1 2", 1, "needs a `]`"),
            ("\n}", 2, "closes nothing"),
            ("{:a}", 1, "without a value"),
            ("\"abc", 1, "no end"),
            ("#", 1, "nothing follows"),
        ] {
            let error = read_edn("t", text).unwrap_err();
            assert_eq!(error.line(), line, "{text}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        let deep = "[".repeat(100_000);
        assert!(read_edn("t", &deep).unwrap_err().to_string().contains("nested deeper"));
    }
}
