//! The file that makes a node: TOML, strict, with the nearest valid name in every error.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wavetank_vocabulary::InstanceId;

/// What such a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFile {
    /// `ha.server_id`.
    pub server_id: InstanceId,
    /// The scenario: its settings, members, graph and operations are the node's.
    pub scenario: PathBuf,
    /// With which seed it is drawn; the scenario's own when not given.
    pub seed: Option<u64>,
    /// Where the node keeps its store.
    pub directory: PathBuf,
    /// `ha.cluster_server`.
    pub cluster_server: SocketAddr,
    /// Where its web server listens.
    pub web_server: SocketAddr,
    /// Where each member is to be reached.
    pub members: Vec<(InstanceId, SocketAddr)>,
    /// Who started it and wants to know everything.
    pub control: Option<SocketAddr>,
}

/// The keys, and what is expected of each.
const KEYS: [(&str, &str); 9] = [
    ("server_id", "a whole number from 1 to 64"),
    ("scenario", "the path of a scenario, or a name of the library"),
    ("seed", "a whole number"),
    ("directory", "the path of a folder"),
    ("cluster_server", "an address such as \"127.0.0.1:5001\""),
    ("web_server", "an address such as \"127.0.0.1:7474\""),
    ("listen_elsewhere", "true or false"),
    ("members", "a table such as { 1 = \"127.0.0.1:5001\" }"),
    ("control", "an address such as \"127.0.0.1:40000\""),
];

/// What is wrong with such a file, for people.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NodeFileError(String);

/// Reads such a file. Paths in it are relative to its folder.
///
/// # Errors
/// When a key is unknown, missing or of the wrong kind.
pub fn parse_node_file(name: &Path, text: &str) -> Result<NodeFile, NodeFileError> {
    Parser { name, text }.parse()
}

struct Parser<'a> {
    name: &'a Path,
    text: &'a str,
}

type Table<'a> = BTreeMap<String, Spanned<DeValue<'a>>>;

impl Parser<'_> {
    /// An error at a place in the file.
    fn wrong(&self, at: usize, what: &str) -> NodeFileError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let text = self.text[start..].lines().next().unwrap_or_default();
        let column = before[start..].chars().count();
        let name = self.name.display();
        NodeFileError(format!(
            "{name}:{line}:{}: {what}\n  {text}\n  {}^",
            column + 1,
            " ".repeat(column)
        ))
    }

    fn parse(&self) -> Result<NodeFile, NodeFileError> {
        let parsed = DeTable::parse(self.text)
            .map_err(|error| self.wrong(error.span().map_or(0, |at| at.start), error.message()))?;
        let mut table = Table::new();
        for (key, value) in parsed.into_inner() {
            if !KEYS.iter().any(|(known, _)| *known == key.get_ref().as_ref()) {
                let near = KEYS
                    .iter()
                    .max_by(|a, b| {
                        let like = |key: &str, name: &str| strsim::jaro(key, name);
                        let text = key.get_ref().as_ref();
                        like(text, a.0).total_cmp(&like(text, b.0))
                    })
                    .map_or("", |(known, _)| known);
                let what = format!("unknown key `{}`; a similar one is `{near}`", key.get_ref());
                return Err(self.wrong(key.span().start, &what));
            }
            table.insert(key.get_ref().to_string(), value);
        }
        let beside = |path: &str| match self.name.parent() {
            Some(folder) => folder.join(path),
            None => PathBuf::from(path),
        };
        let id = self.number(&table, "server_id")?.filter(|id| (1..=64).contains(id));
        let server_id = InstanceId(id.ok_or_else(|| self.expected(&table, "server_id"))? as u16);
        let scenario = self.text_of(&table, "scenario")?;
        let scenario = scenario.ok_or_else(|| self.expected(&table, "scenario"))?;
        let file = beside(scenario);
        let directory = self.text_of(&table, "directory")?;
        let directory = beside(directory.ok_or_else(|| self.expected(&table, "directory"))?);
        let elsewhere = match table.get("listen_elsewhere").map(Spanned::get_ref) {
            None => false,
            Some(DeValue::Boolean(elsewhere)) => *elsewhere,
            Some(_) => return Err(self.expected(&table, "listen_elsewhere")),
        };
        let listens = |key, default: [u8; 4], port| -> Result<SocketAddr, NodeFileError> {
            let address = self.address(&table, key)?;
            let address = address.unwrap_or_else(|| SocketAddr::from((default, port)));
            if !elsewhere && !address.ip().is_loopback() {
                let what = "others than this machine could connect there: say \
                            `listen_elsewhere = true` if that is meant";
                return Err(self.wrong(self.place(&table, key), what));
            }
            Ok(address)
        };
        let members = self.members(&table)?;
        if members.iter().all(|(id, _)| *id != server_id) {
            let what = format!("server id {} is missing here", server_id.0);
            return Err(self.wrong(self.place(&table, "members"), &what));
        }
        Ok(NodeFile {
            server_id,
            scenario: if file.is_file() { file } else { PathBuf::from(scenario) },
            seed: self.number(&table, "seed")?,
            directory,
            cluster_server: listens("cluster_server", [127, 0, 0, 1], 5_001)?,
            web_server: listens("web_server", [127, 0, 0, 1], 7_474)?,
            members,
            control: self.address(&table, "control")?,
        })
    }

    fn place(&self, table: &Table<'_>, key: &str) -> usize {
        table.get(key).map_or(self.text.len(), |value| value.span().start)
    }

    fn expected(&self, table: &Table<'_>, key: &str) -> NodeFileError {
        let what = KEYS.iter().find(|(known, _)| *known == key).map_or("", |(_, what)| what);
        let missing = if table.contains_key(key) { "" } else { "missing: " };
        self.wrong(self.place(table, key), &format!("{missing}`{key}`: expected {what}"))
    }

    fn number(&self, table: &Table<'_>, key: &str) -> Result<Option<u64>, NodeFileError> {
        match table.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Integer(number)) => u64::from_str_radix(number.as_str(), number.radix())
                .map(Some)
                .map_err(|_| self.expected(table, key)),
            Some(_) => Err(self.expected(table, key)),
        }
    }

    fn text_of<'t>(
        &self,
        table: &'t Table<'_>,
        key: &str,
    ) -> Result<Option<&'t str>, NodeFileError> {
        match table.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(text.as_ref())),
            Some(_) => Err(self.expected(table, key)),
        }
    }

    fn address(&self, table: &Table<'_>, key: &str) -> Result<Option<SocketAddr>, NodeFileError> {
        let text = self.text_of(table, key)?;
        text.map(|text| text.parse().map_err(|_| self.expected(table, key))).transpose()
    }

    fn members(&self, table: &Table<'_>) -> Result<Vec<(InstanceId, SocketAddr)>, NodeFileError> {
        let Some(DeValue::Table(members)) = table.get("members").map(Spanned::get_ref) else {
            return Err(self.expected(table, "members"));
        };
        let mut found = Vec::new();
        for (key, value) in members {
            let id = key.get_ref().parse::<u16>().ok().filter(|id| (1..=64).contains(id));
            // Another spelling, such as `01`, could name a member twice.
            let id = id.filter(|id| id.to_string() == *key.get_ref().as_ref());
            let DeValue::String(address) = value.get_ref() else {
                return Err(self.wrong(value.span().start, "expected an address in quotes"));
            };
            let Some(id) = id else {
                return Err(self.wrong(key.span().start, "expected a server id from 1 to 64"));
            };
            let address = address.parse().map_err(|_| {
                self.wrong(value.span().start, "expected an address such as \"127.0.0.1:5001\"")
            })?;
            found.push((InstanceId(id), address));
        }
        found.sort_unstable();
        Ok(found)
    }
}

impl NodeFile {
    /// The file that says this.
    pub fn to_text(&self) -> String {
        let quoted = |path: &Path| DeQuoted(path.to_string_lossy().into_owned());
        let mut text = format!("server_id = {}\n", self.server_id.0);
        text += &format!("scenario = {}\n", quoted(&self.scenario));
        if let Some(seed) = self.seed {
            text += &format!("seed = {seed}\n");
        }
        text += &format!("directory = {}\n", quoted(&self.directory));
        text += &format!("cluster_server = \"{}\"\n", self.cluster_server);
        text += &format!("web_server = \"{}\"\n", self.web_server);
        if !self.cluster_server.ip().is_loopback() || !self.web_server.ip().is_loopback() {
            text += "listen_elsewhere = true\n";
        }
        if let Some(control) = self.control {
            text += &format!("control = \"{control}\"\n");
        }
        text += "\n[members]\n";
        for (id, address) in &self.members {
            text += &format!("{} = \"{address}\"\n", id.0);
        }
        text
    }
}

/// A text as TOML quotes it.
struct DeQuoted(String);

impl std::fmt::Display for DeQuoted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "server_id = 2\nscenario = \"quickstart\"\ndirectory = \"data\"\n\
        [members]\n1 = \"127.0.0.1:5001\"\n2 = \"127.0.0.1:5002\"\n";

    fn parse(text: &str) -> Result<NodeFile, NodeFileError> {
        parse_node_file(Path::new("/somewhere/node.toml"), text)
    }

    #[test]
    fn what_is_written_is_read() {
        let file = parse(GOOD).unwrap();
        assert_eq!(file.directory, Path::new("/somewhere/data"));
        assert_eq!(file.scenario, Path::new("quickstart"));
        assert_eq!(file.web_server, "127.0.0.1:7474".parse().unwrap());
        let all = NodeFile { seed: Some(7), control: Some("[::1]:9".parse().unwrap()), ..file };
        assert_eq!(parse(&all.to_text()), Ok(all));
    }

    #[test]
    fn errors_say_where_and_what_was_expected() {
        let text = |text: &str| parse(text).unwrap_err().to_string();
        let unknown = text(&GOOD.replace("directory", "directry"));
        assert_eq!(
            unknown,
            "/somewhere/node.toml:3:1: unknown key `directry`; a similar one is `directory`\n  \
             directry = \"data\"\n  ^"
        );
        assert!(text("").contains("missing: `server_id`: expected a whole number from 1 to 64"));
        assert!(text(&GOOD.replace("= 2\n", "= 65\n")).contains(":1:13: `server_id`"));
        assert!(text(&GOOD.replace("2 = \"127", "3 = \"127")).contains("server id 2 is missing"));
        let twice = text(&GOOD.replace("1 = \"127", "02 = \"127"));
        assert!(twice.contains(":5:1: expected a server id from 1 to 64"), "{twice}");
        assert!(text(&format!("web_server = \"0.0.0.0:80\"\n{GOOD}")).contains("listen_elsewhere"));
        let allowed = format!("web_server = \"0.0.0.0:80\"\nlisten_elsewhere = true\n{GOOD}");
        assert!(parse(&allowed).is_ok());
        assert!(text("server_id = ").contains(":1:"));
    }
}
