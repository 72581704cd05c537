//! Every record survives encoding; labels pack when they fit.

use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

fn entity() -> impl Strategy<Value = u64> {
    prop_oneof![Just(NONE), 0..BITS_35]
}

fn chained() -> impl Strategy<Value = u64> {
    prop_oneof![Just(NONE), 0..BITS_36]
}

fn round_trip<R: Record + PartialEq + core::fmt::Debug>(record: &R) {
    let mut bytes = [0xa5; LONGEST];
    record.encode(&mut bytes[..R::SIZE]);
    assert_eq!(&R::decode(&bytes[..R::SIZE]), record);
    assert!(bytes[R::SIZE..].iter().all(|byte| *byte == 0xa5), "wrote past its size");
}

proptest! {
    #[test]
    fn nodes(rel in entity(), prop in chained(), labels in 0..1u64 << 40, dense in any::<bool>()) {
        round_trip(&NodeRecord {
            in_use: true,
            first_relationship: rel,
            first_property: prop,
            labels: Labels(labels),
            dense,
        });
    }

    #[test]
    fn relationships(
        ids in prop::array::uniform6(entity()),
        kind in 0..=0xffffu32,
        first_property in chained(),
        is_first in any::<[bool; 2]>(),
    ) {
        round_trip(&RelationshipRecord {
            in_use: true,
            nodes: [ids[0], ids[1]],
            kind,
            previous: [ids[2], ids[3]],
            next: [ids[4], ids[5]],
            first_property,
            is_first,
        });
    }

    #[test]
    fn groups(
        kind in 0..=0xffffu32,
        next in entity(),
        first in prop::array::uniform3(entity()),
        owner in entity(),
    ) {
        round_trip(&GroupRecord { in_use: true, kind, next, first, owner });
    }

    #[test]
    fn properties(next in chained(), previous in chained(), blocks in any::<[u64; 4]>()) {
        let record = PropertyRecord { next, previous, blocks };
        prop_assume!(record.in_use());
        round_trip(&record);
    }

    #[test]
    fn dynamics(next in chained(), contents in prop::collection::vec(any::<u8>(), 0..60)) {
        round_trip(&DynamicRecord::with(&contents, next));
        round_trip(&ArrayRecord::with(&contents, next));
        round_trip(&LabelRecord::with(&contents, next));
    }

    #[test]
    fn labels(ids in prop::collection::btree_set(0..40u32, 0..9)) {
        let sorted: Vec<u32> = ids.into_iter().collect();
        match Labels::pack(&sorted) {
            Some(packed) => prop_assert_eq!(packed.iter().collect::<Vec<_>>(), sorted),
            None => prop_assert!(sorted.len() > 4),
        }
        prop_assert_eq!(Labels::at(7).dynamic(), Some(7));
    }
}

#[test]
fn unused_records_are_zero() {
    let bytes = [0u8; LONGEST];
    assert!(!NodeRecord::decode(&bytes).in_use);
    assert!(!RelationshipRecord::decode(&bytes).in_use);
    assert!(!PropertyRecord::decode(&bytes).in_use());
    assert!(!DynamicRecord::decode(&bytes).in_use);
    assert!(!TokenRecord::decode(&bytes).in_use);
    round_trip(&NodeRecord::UNUSED);
    round_trip(&RelationshipRecord::UNUSED);
    round_trip(&TokenRecord::UNUSED);
    round_trip(&GroupRecord::UNUSED);
    round_trip(&SchemaRecord::UNUSED);
    round_trip(&SchemaRecord { in_use: true, unique: true, label: 7, key: 65535 });
}

#[test]
fn pages_hold_as_many_records_as_the_format_says() {
    let counts = FileKind::RECORDS.map(records_per_page);
    assert_eq!(counts[..9], [544, 240, 199, 63, 63, 326, 63, 120, 127]);
    assert_eq!(locate(FileKind::Nodes, 544 + 3), (1, 45));
    assert_eq!(locate(FileKind::Relationships, 239), (0, 239 * 34));
}
