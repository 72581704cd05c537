//! Who belongs to the cluster, and sets of members.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use wavetank_vocabulary::InstanceId;

/// The members of a cluster in ascending order of server id. A member's place in that
/// order is its index; the lowest index has the lowest id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Configuration {
    members: Arc<[InstanceId]>,
    me: u8,
}

/// Why a configuration cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationError {
    /// More members than a [`MemberSet`] holds.
    TooMany(usize),
    /// Two members have the same server id.
    Duplicate(InstanceId),
    /// This instance is not among the members.
    NotAMember(InstanceId),
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigurationError::TooMany(n) => {
                write!(f, "{n} members, at most {} are possible", MemberSet::CAPACITY)
            }
            ConfigurationError::Duplicate(id) => write!(f, "server id {} is used twice", id.0),
            ConfigurationError::NotAMember(id) => {
                write!(f, "server id {} is not a member of its own cluster", id.0)
            }
        }
    }
}

impl core::error::Error for ConfigurationError {}

impl Configuration {
    /// The configuration of `me` among `members`, in any order.
    ///
    /// # Errors
    /// When an id occurs twice, `me` is missing, or there are more than
    /// [`MemberSet::CAPACITY`].
    pub fn new(me: InstanceId, members: &[InstanceId]) -> Result<Self, ConfigurationError> {
        if members.len() > MemberSet::CAPACITY {
            return Err(ConfigurationError::TooMany(members.len()));
        }
        let mut sorted = Vec::from(members);
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ConfigurationError::Duplicate(pair[0]));
        }
        let index =
            sorted.binary_search(&me).map_err(|_| ConfigurationError::NotAMember(me))? as u8;
        Ok(Configuration { members: sorted.into(), me: index })
    }

    /// How many members there are, failed ones included.
    pub fn total(&self) -> usize {
        self.members.len()
    }

    /// Members needed for a majority.
    pub fn quorum(&self) -> usize {
        self.total() / 2 + 1
    }

    /// My own index.
    pub fn me(&self) -> usize {
        usize::from(self.me)
    }

    /// The server id of a member.
    pub fn id(&self, index: usize) -> InstanceId {
        self.members[index]
    }

    /// The index of a server id; none when it is no member.
    pub fn index_of(&self, id: InstanceId) -> Option<usize> {
        // Ids usually are 1..=n, so that the first guess is right.
        let guess = usize::from(id.0).wrapping_sub(1);
        if self.members.get(guess) == Some(&id) {
            return Some(guess);
        }
        self.members.binary_search(&id).ok()
    }

    /// All members.
    pub fn everyone(&self) -> MemberSet {
        MemberSet::first(self.total())
    }

    /// All members but me.
    pub fn others(&self) -> MemberSet {
        self.everyone().without(self.me())
    }
}

/// A set of members, by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberSet(u64);

impl MemberSet {
    /// The largest cluster that fits.
    pub const CAPACITY: usize = 64;
    /// Nobody.
    pub const EMPTY: MemberSet = MemberSet(0);

    /// The set as one word, a bit for each index: for messages between processes.
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// The set that [`Self::to_word`] came from.
    pub const fn from_word(word: u64) -> Self {
        MemberSet(word)
    }

    /// The first `n` members.
    pub fn first(n: usize) -> Self {
        MemberSet(if n >= 64 { u64::MAX } else { (1 << n) - 1 })
    }

    /// The set with this member.
    #[must_use]
    pub fn with(self, index: usize) -> Self {
        MemberSet(self.0 | 1 << index)
    }

    /// The set without this member.
    #[must_use]
    pub fn without(self, index: usize) -> Self {
        MemberSet(self.0 & !(1 << index))
    }

    /// Members of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        MemberSet(self.0 | other.0)
    }

    /// Members of this set that are not in `other`.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        MemberSet(self.0 & !other.0)
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        MemberSet(self.0 & other.0)
    }

    /// Whether the member is in the set.
    pub fn contains(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }

    /// How many members there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The member with the lowest index.
    pub fn lowest(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    /// The members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let index = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(index)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[u16]) -> Vec<InstanceId> {
        numbers.iter().map(|n| InstanceId(*n)).collect()
    }

    #[test]
    fn members_are_found_by_id_whatever_the_numbering() {
        let sparse = Configuration::new(InstanceId(9), &ids(&[9, 2, 40])).unwrap();
        assert_eq!(sparse.me(), 1);
        assert_eq!(sparse.index_of(InstanceId(40)), Some(2));
        assert_eq!(sparse.index_of(InstanceId(3)), None);
        assert_eq!(sparse.quorum(), 2);
        assert_eq!(sparse.others().iter().collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn wrong_configurations_are_refused() {
        let two = ids(&[1, 1]);
        assert_eq!(
            Configuration::new(InstanceId(1), &two),
            Err(ConfigurationError::Duplicate(InstanceId(1)))
        );
        assert_eq!(
            Configuration::new(InstanceId(3), &ids(&[1, 2])),
            Err(ConfigurationError::NotAMember(InstanceId(3)))
        );
        let many: Vec<_> = (1..=65).map(InstanceId).collect();
        assert_eq!(Configuration::new(InstanceId(1), &many), Err(ConfigurationError::TooMany(65)));
    }

    #[test]
    fn sets_hold_their_capacity() {
        assert_eq!(MemberSet::first(64).len(), 64);
        assert_eq!(MemberSet::EMPTY.lowest(), None);
        assert_eq!(MemberSet::EMPTY.with(63).lowest(), Some(63));
    }
}
