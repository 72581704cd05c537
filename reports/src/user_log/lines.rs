//! Every line that an instance may write to its user log, with when it does: the one table from
//! which [`user_log`](super::user_log) takes its texts, and which `docs/neo4j-files.md` repeats.

use std::fmt::Display;

/// A line of the user log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Its text; a name in braces stands for what differs from case to case.
    text: &'static str,
    /// When it is written.
    #[cfg(test)]
    when: &'static str,
}

impl Line {
    /// The line, with these values in the places of their names.
    pub(super) fn with(&self, values: &[(&str, &dyn Display)]) -> String {
        values.iter().fold(self.text.to_owned(), |line, (name, value)| {
            line.replace(&format!("{{{name}}}"), &value.to_string())
        })
    }
}

macro_rules! lines {
    ($($name:ident = $text:literal, $when:literal;)*) => {
        $(pub(super) const $name: Line = Line {
            text: $text,
            #[cfg(test)]
            when: $when,
        };)*

        /// All of them.
        #[cfg(test)]
        const ALL: &[Line] = &[$($name),*];
    };
}

lines! {
    JOINED = "Instance {N} joined the cluster",
        "the join of N was learned; of itself, when it entered";
    DENIED = "Instance {N} is already in the cluster",
        "of itself: the cluster has a member of its server id that is alive at another address; the process ends";
    SAME_ID = "Another instance is starting with server id {N}",
        "of itself, where nobody is in the cluster yet; the process ends";
    LEFT = "Instance {N} has left the cluster",
        "its leave was learned; of itself, before the process ends";
    ELECTED = "Instance {N} was elected as coordinator",
        "the result of an election was learned";
    NO_WINNER = "Election could not pick a winner",
        "at the elector";
    DEMOTED = "Instance {N} was demoted as coordinator",
        "the coordinator failed or left, or an election had no winner";
    AVAILABLE = "Instance {N} is available as {ROLE} at ha://i{N}:6001",
        "N said that it serves as `master` or `slave`, as often as it says so";
    UNAVAILABLE = "Instance {N} is unavailable as {ROLE}",
        "N said that it no longer serves; of itself, when it stopped";
    FAILED = "Instance {N} has failed",
        "a quorum suspects N";
    ALIVE = "Instance {N} is alive",
        "a quorum does so no longer";
    TO_MASTER = "I am {N}, moving to master",
        "the switch to master begins";
    MASTER = "I am {N}, successfully moved to master",
        "it is done";
    WRITES = "Database available for write transactions",
        "the instance became master";
    NO_WRITES = "Write transactions to database disabled",
        "the instance is master no longer";
    TO_SLAVE = "ServerId {N}, moving to slave for master ha://i{M}:6001",
        "the switch to slave begins";
    CHECKING = "Checking store consistency with master",
        "the end of the log goes to the master";
    BRANCHED = "The store does not have the same history as master {M} at transaction {T}: branched data",
        "the master's answer, where the logs differ";
    COPYING = "Copying store from master {M}",
        "a store copy begins";
    COPIED = "Finished copying store from master",
        "its last page is written; what was committed meanwhile is pulled next, and the checkpoint that makes the copy a store of its own comes after that";
    CATCHING_UP = "Catching up with master. I'm at transaction {T}",
        "the pull of a switch to slave begins";
    CAUGHT_UP = "Now caught up with master at transaction {T}",
        "it brought all there was";
    SLAVE = "ServerId {N}, successfully moved to slave",
        "the slave serves";
    STORE_FAILED = "The store stopped itself; a restart is needed",
        "the log could not be written, or the store refused to open; the process ends";
    STORE_DAMAGED = "The store is damaged: no page of neostore is whole. It is set aside",
        "at the start; the store is treated as a branch";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the book, with the names as it writes them.
    fn table() -> String {
        let bare = |text: &str| text.replace(['{', '}'], "");
        let rows = ALL.iter().map(|line| format!("| `{}` | {} |\n", bare(line.text), line.when));
        rows.collect()
    }

    #[test]
    fn the_book_has_every_line() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/neo4j-files.md");
        let book = std::fs::read_to_string(path).expect("the chapter");
        let head = "| line | when |\n|---|---|\n";
        let (_, rest) = book.split_once(head).expect("the table");
        let (rows, _) = rest.split_once("\n\n").expect("its end");
        assert_eq!(format!("{rows}\n"), table(), "docs/neo4j-files.md lists other lines");
    }

    #[test]
    fn names_are_replaced_wherever_they_stand() {
        let line = AVAILABLE.with(&[("N", &3), ("ROLE", &"slave")]);
        assert_eq!(line, "Instance 3 is available as slave at ha://i3:6001");
    }
}
