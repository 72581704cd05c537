//! Traces of requests as others write them: one key a line, CSV, and libCacheSim's binary
//! oracleGeneral; plain or gzip. Keys are numbered from 0 as they are first met.
//!
//! The formats are those of libCacheSim's `doc/quickstart_cachesim.md` and its example
//! traces. Object sizes, times and the like are not read: here every key is one page.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// No line of a trace is this long.
const LONGEST_LINE: u64 = 64 << 10;
/// The most different keys: more would not fit the page numbers of the store.
const MOST_KEYS: usize = 1 << 31;
/// The bytes of an oracleGeneral record: time, key, size, next request.
const RECORD: usize = 4 + 8 + 4 + 8;
/// No trace has as many requests as this.
const MOST_REQUESTS: i64 = 1 << 48;
/// Names under which CSV headers have the key.
const KEY_NAMES: [&str; 12] = [
    "obj_id",
    "object_id",
    "object",
    "obj",
    "id",
    "key",
    "lbn",
    "lba",
    "block",
    "block_id",
    "page",
    "page_id",
];

/// How a trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TraceFormat {
    /// Columns with a delimiter: comma, semicolon or tab; the first line may name them.
    Csv,
    /// libCacheSim's oracleGeneral: records of 24 bytes.
    Oracle,
    /// One key a line.
    Lines,
}

impl TraceFormat {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            TraceFormat::Csv => "csv",
            TraceFormat::Oracle => "oracle",
            TraceFormat::Lines => "lines",
        }
    }
}

/// Which column of a CSV trace has the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The one with this number, from 1.
    Number(usize),
    /// The one that the header gives this name.
    Name(String),
}

/// Why a trace could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("cannot read {trace}: {source}")]
    File {
        /// The trace.
        trace: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is no trace of that format.
    #[error("{trace}: {why}")]
    Whole {
        /// The trace.
        trace: String,
        /// What is wrong.
        why: String,
    },
    /// One request is not readable.
    #[error("{trace}: {unit} {number}: {why}")]
    Request {
        /// The trace.
        trace: String,
        /// What is counted: lines or records.
        unit: &'static str,
        /// Which, from 1.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Numbers for keys, in the order of their first requests. If the first key is a number, all
/// are: a line that is none is a mistake then.
#[derive(Default)]
struct Keys {
    numbers: HashMap<u64, u32>,
    texts: HashMap<Box<str>, u32>,
}

impl Keys {
    fn len(&self) -> usize {
        self.numbers.len() + self.texts.len()
    }

    fn room(&self) -> Result<u32, String> {
        if self.len() >= MOST_KEYS {
            return Err(format!("more than {MOST_KEYS} different keys"));
        }
        Ok(self.len() as u32)
    }

    fn of_number(&mut self, key: u64) -> Result<u32, String> {
        if let Some(known) = self.numbers.get(&key) {
            return Ok(*known);
        }
        let new = self.room()?;
        self.numbers.insert(key, new);
        Ok(new)
    }

    fn of_text(&mut self, key: &str) -> Result<u32, String> {
        if self.texts.is_empty() {
            match key.parse() {
                Ok(number) => return self.of_number(number),
                Err(_) if !self.numbers.is_empty() => {
                    return Err(format!("`{}` is no key: those before it are numbers", cut(key)));
                }
                Err(_) => {}
            }
        }
        if let Some(known) = self.texts.get(key) {
            return Ok(*known);
        }
        if key.is_empty() {
            return Err("there is no key".to_owned());
        }
        if key.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
            return Err(format!("`{}` is no key: it is not text", cut(key).escape_debug()));
        }
        let new = self.room()?;
        self.texts.insert(key.into(), new);
        Ok(new)
    }
}

/// The beginning of a text, for a message.
fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

/// A trace that is read from front to back.
pub struct TraceReader {
    name: String,
    source: Box<dyn BufRead>,
    format: TraceFormat,
    /// Of CSV: what separates columns, and which has the key, from 0.
    delimiter: u8,
    column: usize,
    keys: Keys,
    /// Lines or records read so far.
    number: u64,
    line: Vec<u8>,
    /// The first line was read to see what it is, and is still to be served.
    pending: bool,
}

impl TraceReader {
    /// Opens a file, or standard input for `-`. Without a format it is told by the first
    /// bytes: NULs are in binary records only, and a delimiter in CSV only.
    ///
    /// # Errors
    /// If the file cannot be read, is empty, or is compressed by anything but gzip.
    pub fn open(
        path: &Path,
        format: Option<TraceFormat>,
        column: Option<&Column>,
    ) -> Result<TraceReader, TraceError> {
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            return Self::new("standard input", io::stdin(), format, column);
        }
        let file = File::open(path)
            .and_then(|file| match file.metadata()?.is_dir() {
                true => Err(io::Error::other("it is a folder: expected a file")),
                false => Ok(file),
            })
            .map_err(|source| TraceError::File { trace: name.clone(), source })?;
        Self::new(&name, file, format, column)
    }

    /// Reads a trace from anything; `name` is for messages. Errors as [`Self::open`].
    pub fn new(
        name: &str,
        source: impl Read + 'static,
        format: Option<TraceFormat>,
        column: Option<&Column>,
    ) -> Result<TraceReader, TraceError> {
        let file = |source| TraceError::File { trace: name.to_owned(), source };
        let whole = |why: &str| TraceError::Whole { trace: name.to_owned(), why: why.to_owned() };
        let mut source: Box<dyn BufRead> = Box::new(BufReader::with_capacity(1 << 16, source));
        let begin = source.fill_buf().map_err(file)?;
        if begin.starts_with(&[0x1f, 0x8b]) {
            source = Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(source)));
        } else if begin.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            return Err(whole("it is compressed with zstd, which is not read: unpack it first"));
        } else if begin.starts_with(b"BZh") || begin.starts_with(b"\xfd7zXZ") {
            return Err(whole("only gzip is unpacked: unpack it first"));
        }
        let begin = source.fill_buf().map_err(file)?;
        if begin.is_empty() {
            return Err(whole("it is empty"));
        }
        let binary = begin.contains(&0);
        let mut reader = TraceReader {
            name: name.to_owned(),
            source,
            format: format.unwrap_or(TraceFormat::Lines),
            delimiter: b',',
            column: 0,
            keys: Keys::default(),
            number: 0,
            line: Vec::new(),
            pending: false,
        };
        match format {
            Some(TraceFormat::Oracle) => {}
            None if binary => reader.format = TraceFormat::Oracle,
            Some(TraceFormat::Lines) => {}
            _ => reader.begin_text(format.is_some(), column)?,
        }
        if reader.format != TraceFormat::Csv && column.is_some() {
            return Err(whole(&format!(
                "it has no columns: it is read as {}",
                reader.format.name()
            )));
        }
        Ok(reader)
    }

    /// How the trace is written.
    pub fn format(&self) -> TraceFormat {
        self.format
    }

    /// How many different keys were met so far.
    pub fn distinct(&self) -> usize {
        self.keys.len()
    }

    /// The number of the next request's key, or none at the end.
    ///
    /// # Errors
    /// For a line without a key, a record that cannot be, and a damaged gzip file; with the
    /// number of the line or record.
    pub fn next_key(&mut self) -> Result<Option<u32>, TraceError> {
        match self.format {
            TraceFormat::Oracle => self.next_record(),
            TraceFormat::Lines | TraceFormat::Csv => self.next_line(),
        }
    }

    /// An error about the trace as a whole.
    pub(super) fn refuse(&self, why: &str) -> TraceError {
        TraceError::Whole { trace: self.name.clone(), why: why.to_owned() }
    }

    fn wrong(&self, why: impl Into<String>) -> TraceError {
        let unit = if self.format == TraceFormat::Oracle { "record" } else { "line" };
        let (trace, number) = (self.name.clone(), self.number.max(1));
        TraceError::Request { trace, unit, number, why: why.into() }
    }

    /// Looks at the first line: whether it has columns, and whether it names them.
    fn begin_text(&mut self, is_csv: bool, column: Option<&Column>) -> Result<(), TraceError> {
        while self.line.is_empty() {
            if !self.read_line()? {
                return Err(self.wrong("there is no request"));
            }
        }
        self.pending = true;
        let delimiters = [b',', b'\t', b';'];
        let delimiter = delimiters.into_iter().find(|d| self.line.contains(d));
        let known = |name: &str| KEY_NAMES.contains(&name.to_lowercase().as_str());
        if delimiter.is_none() && !is_csv && !std::str::from_utf8(&self.line).is_ok_and(known) {
            return Ok(());
        }
        self.format = TraceFormat::Csv;
        self.delimiter = delimiter.unwrap_or(b',');
        let mut fields: Vec<String> = Vec::new();
        while let Some(field) = field(&self.line, self.delimiter, fields.len()) {
            fields.push(field.trim_start_matches('#').trim().to_lowercase());
        }
        let named = |name: &str| fields.iter().position(|field| *field == name);
        let by_name = KEY_NAMES.into_iter().find_map(named);
        // A header has a name that is known or asked for, and no number.
        let numbers = fields.iter().any(|field| field.parse::<f64>().is_ok());
        let mut header = by_name.is_some() && !numbers;
        self.column = match column {
            Some(Column::Number(number)) => {
                if *number > fields.len() {
                    let why = format!("there is no column {number}, only {}", fields.len());
                    return Err(self.wrong(why));
                }
                header |= !numbers && fields.len() > 1;
                number - 1
            }
            Some(Column::Name(name)) => {
                header = true;
                named(&name.to_lowercase()).ok_or_else(|| {
                    self.wrong(format!("no column is called `{name}`: {}", fields.join(", ")))
                })?
            }
            None if header => by_name.unwrap_or(0),
            None if fields.len() == 1 => 0,
            // Without names: time, key, size, as in oracleGeneral.
            None if numbers => 1,
            None => {
                let columns = fields.join(", ");
                return Err(self.wrong(format!("which column is the key is not clear: {columns}")));
            }
        };
        self.pending = !header;
        Ok(())
    }

    /// Reads a line into `line`, without its end and blanks around it; false at the end.
    fn read_line(&mut self) -> Result<bool, TraceError> {
        self.line.clear();
        let mut limited = (&mut self.source).take(LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut self.line);
        self.number += 1;
        let read = read.map_err(|error| self.wrong(format!("cannot be read: {error}")))?;
        if read as u64 == LONGEST_LINE {
            return Err(self.wrong(format!("longer than {LONGEST_LINE} bytes: this is no text")));
        }
        let trimmed = self.line.trim_ascii();
        let (from, len) = (self.line.len() - self.line.trim_ascii_start().len(), trimmed.len());
        self.line.copy_within(from..from + len, 0);
        self.line.truncate(len);
        Ok(read > 0)
    }

    fn next_line(&mut self) -> Result<Option<u32>, TraceError> {
        // Blank lines are no requests.
        while !std::mem::take(&mut self.pending) {
            if !self.read_line()? {
                return Ok(None);
            }
            if !self.line.is_empty() {
                break;
            }
        }
        let key = match self.format {
            TraceFormat::Csv => match field(&self.line, self.delimiter, self.column) {
                Some(key) => self.keys.of_text(&key),
                None => Err(format!("there is no column {}", self.column + 1)),
            },
            _ => self.keys.of_text(&String::from_utf8_lossy(&self.line)),
        };
        key.map(Some).map_err(|why| self.wrong(why))
    }

    fn next_record(&mut self) -> Result<Option<u32>, TraceError> {
        let mut record = [0; RECORD];
        let mut len = 0;
        self.number += 1;
        while len < RECORD {
            match self.source.read(&mut record[len..]) {
                Ok(0) if len == 0 => return Ok(None),
                Ok(0) => return Err(self.wrong(format!("ends after {len} of {RECORD} bytes"))),
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.wrong(format!("cannot be read: {error}"))),
            }
        }
        let word = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().expect("8 bytes"));
        let (key, next) = (word(4), word(16) as i64);
        // The next request for the key: none (-1, or the highest number), or after this one.
        let none = next == -1 || next == i64::MAX;
        if !none && (next < self.number as i64 || next > MOST_REQUESTS) {
            let why = format!("the next request for its key is {next}: this is no oracleGeneral");
            return Err(self.wrong(why));
        }
        self.keys.of_number(key).map(Some).map_err(|why| self.wrong(why))
    }
}

/// The field of a CSV line with that place, without blanks and quotes around it. Delimiters
/// between double quotes do not count, and two quotes there are one.
fn field(line: &[u8], delimiter: u8, place: usize) -> Option<String> {
    let (mut column, mut quoted, mut found) = (0, false, Vec::new());
    for byte in line {
        match byte {
            b'"' => quoted = !quoted,
            byte if *byte == delimiter && !quoted => column += 1,
            _ => {}
        }
        if column > place {
            break;
        }
        if column == place {
            found.push(*byte);
        }
    }
    if column < place {
        return None;
    }
    if place > 0 {
        found.remove(0);
    }
    let text = String::from_utf8_lossy(&found);
    let text = text.trim();
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => Some(inner.replace("\"\"", "\"").trim().to_owned()),
        None => Some(text.to_owned()),
    }
}
