//! All that the consistency check can find wrong, in one list: the tests plant each of them.

use core::fmt;

macro_rules! problems {
    ($($name:ident = $text:literal,)+) => {
        /// What is wrong with a record. What it says stands beside each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Problem {
            $(#[doc = $text] $name,)+
        }

        impl Problem {
            /// All of them.
            pub const ALL: &'static [Problem] = &[$(Problem::$name,)+];

            /// What a report says behind the record's type and number.
            pub fn text(self) -> &'static str {
                match self {
                    $(Problem::$name => $text,)+
                }
            }
        }
    };
}

problems! {
    ForeignGroup = "its groups lead to a foreign group",
    GroupTwice = "stands in a list twice",
    TypeOutOfOrder = "its type is out of order",
    EmptyGroup = "has no relationships",
    ForeignChain = "its chain leads to a foreign record",
    OtherGroup = "stands in the chain of another group",
    ChainTwice = "stands in a chain twice",
    FirstFlag = "has a wrong first-in-chain flag",
    NoWayBack = "does not point back",
    Degree = "has a wrong degree",
    MissingFromChain = "is missing from a chain",
    UnknownType = "has an unknown type",
    NotInUse = "is in a chain but not in use",
    TwoOwners = "has two owners",
    KeyTwice = "repeats a key",
    UnknownKey = "has an unknown key",
    UnreadableValue = "has a value that cannot be read",
    NotUtf8 = "has a text that is not UTF-8",
    NoArray = "has an array that is none",
    BrokenLongValue = "has a long value with a broken chain",
    SharedLongValue = "shares a long value with another",
    OtherLabels = "has another's list of labels",
    LabelsOutOfOrder = "its labels are out of order",
    UnknownLabel = "has an unknown label",
    Orphan = "belongs to nobody",
    OtherToken = "is not the token in memory",
    RuleUnknownLabel = "is for an unknown label",
    RuleUnknownKey = "is for an unknown key",
    RuleTwice = "repeats another rule",
    BehindNextFree = "is in use behind the next free id",
    ListedAsUnused = "is in use and listed as unused",
    MissingFromScan = "is missing from the label scan store",
    MissingFromIndex = "is missing from an index",
    NotUnique = "has a value that must be unique",
    IndexedNotInUse = "is in an index but not in use",
    ScannedWithoutLabel = "is in the label scan store without the label",
    IndexedWithoutValue = "is in an index without the label or value",
    MissingTreePage = "is missing from the tree",
    MisplacedTreePage = "stands in the tree wrongly",
    EntriesOutOfOrder = "its entries are out of order",
    NoChildren = "has no children",
    OutOfBounds = "its entries are not what its parent says",
    WrongNextLeaf = "does not lead to the next leaf",
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
