//! All names in memory: labels, relationship types, property keys.

use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::LookupMap;

use crate::record::TokenRecord;
use crate::value::{TokenId, TokenKind};

/// Committed names and their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    names: [Vec<Arc<str>>; 3],
    ids: [LookupMap<Arc<str>, TokenId>; 3],
}

impl Tokens {
    pub(crate) fn id(&self, kind: TokenKind, name: &str) -> Option<TokenId> {
        self.ids[kind as usize].get(name).copied()
    }

    pub(crate) fn name(&self, kind: TokenKind, id: TokenId) -> Option<&Arc<str>> {
        self.names[kind as usize].get(usize::from(id.0))
    }

    pub(crate) fn names(&self, kind: TokenKind) -> &[Arc<str>] {
        &self.names[kind as usize]
    }

    /// How many of that kind there are: the next number.
    pub(crate) fn count(&self, kind: TokenKind) -> usize {
        self.names[kind as usize].len()
    }

    /// How many there are of all kinds: the next record.
    pub(crate) fn total(&self) -> u64 {
        self.names.iter().map(|names| names.len() as u64).sum()
    }

    /// Adds the next name of its kind.
    pub(crate) fn add(&mut self, kind: TokenKind, name: Arc<str>) -> TokenId {
        let id = TokenId(self.count(kind) as u16);
        self.ids[kind as usize].insert(name.clone(), id);
        self.names[kind as usize].push(name);
        id
    }

    /// Adds what a record says; false if it does not fit what is known.
    pub(crate) fn learn(&mut self, record: &TokenRecord) -> bool {
        let name = record.name.get(..usize::from(record.length));
        let name = name.and_then(|name| core::str::from_utf8(name).ok());
        let (Some(kind), Some(name)) = (TokenKind::from_number(record.kind), name) else {
            return false;
        };
        match usize::from(record.token) {
            known if known < self.count(kind) => &*self.names[kind as usize][known] == name,
            next if next == self.count(kind) && self.id(kind, name).is_none() => {
                self.add(kind, name.into());
                true
            }
            _ => false,
        }
    }
}

/// The record of a name; none if the name is too long.
pub(crate) fn token_record(kind: TokenKind, id: TokenId, name: &str) -> Option<TokenRecord> {
    let mut record = TokenRecord {
        in_use: true,
        kind: kind as u8,
        token: id.0,
        length: name.len().try_into().ok()?,
        name: [0; TokenRecord::LONGEST_NAME],
    };
    record.name.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_learnt_in_order() {
        let mut tokens = Tokens::default();
        let label = |id, name| token_record(TokenKind::Label, TokenId(id), name).unwrap();
        assert!(tokens.learn(&label(0, "User")));
        assert!(tokens.learn(&label(0, "User")), "again is no harm");
        assert!(!tokens.learn(&label(0, "Group")), "another name under a known number");
        assert!(!tokens.learn(&label(2, "Group")), "a gap");
        assert!(!tokens.learn(&label(1, "User")), "a second number for a name");
        assert_eq!(tokens.id(TokenKind::Label, "User"), Some(TokenId(0)));
        assert_eq!(tokens.total(), 1);
        assert!(token_record(TokenKind::Label, TokenId(0), &"x".repeat(121)).is_none());
    }
}
