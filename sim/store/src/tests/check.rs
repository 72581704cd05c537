//! The consistency check finds each kind of damage that is planted, and nothing else.

use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::NodeId;

use crate::record::{
    ArrayRecord, Dynamic, DynamicRecord, GroupRecord, LabelRecord, Labels, NONE, NodeRecord,
    PropertyRecord, Record, RelationshipRecord, SchemaRecord, TokenRecord,
};
use crate::testing::Rig;
use crate::tree::IndexKey;
use crate::*;

/// Node 0 is dense, with twelve labels; 1 to 7 are in a chain with node 8; node 9 has every
/// kind of value; label 0 and key 0 have a unique index.
fn store() -> Rig {
    let mut rig = Rig::create(StoreConfig { dense_node_threshold: 8, ..StoreConfig::default() });
    let tx = rig.store.begin(0, 0);
    for n in 0..12 {
        for kind in TokenKind::ALL {
            let name = std::format!("{n}");
            rig.must(tx, &MicroStep::Token { kind, name: name.as_str().into() });
        }
    }
    rig.finish(tx);
    let tx = rig.store.begin(0, 0);
    let step = MicroStep::CreateConstraint { label: TokenId(0), key: TokenId(0) };
    assert_eq!(rig.must(tx, &step), Value::Bool(true));
    rig.finish(tx);
    let tx = rig.store.begin(0, 0);
    for n in 0..12u16 {
        let count = if n == 0 { 12 } else { 2 };
        let labels = (0..count).map(TokenId).collect();
        let Value::Node(node) = rig.must(tx, &MicroStep::CreateNode { labels }) else { panic!() };
        let value = Value::Int(i64::from(n));
        rig.must(tx, &MicroStep::SetProperty { entity: node.into(), key: TokenId(0), value });
    }
    for n in 1..8 {
        for (to, kind) in [(0, n % 2), (8, 1)] {
            let (from, to) = (NodeId(n), NodeId(to));
            let kind = TokenId(kind as u16);
            rig.must(tx, &MicroStep::CreateRelationship { from, to, kind });
            rig.must(tx, &MicroStep::CreateRelationship { from: to, to: from, kind });
        }
    }
    let long = "long ".repeat(60);
    let values: [Value; 3] =
        [long.as_str().into(), Array::Float([0.5; 40].into()).into(), "short".into()];
    for (key, value) in values.into_iter().enumerate() {
        let (entity, key) = (NodeId(9).into(), TokenId(key as u16 + 1));
        rig.must(tx, &MicroStep::SetProperty { entity, key, value });
    }
    rig.finish(tx);
    assert_eq!(rig.store.check(&rig.disk), Ok(vec![]));
    rig
}

fn get<R: Record>(rig: &Rig, id: u64) -> R {
    rig.store.contents(&rig.disk).expect("contents").read(id)
}

/// Changes a record behind the store's back; what the check says then.
fn problems<R: Record>(id: u64, by: impl FnOnce(&mut R)) -> Vec<&'static str> {
    let mut rig = store();
    change(&mut rig, id, by);
    let found = rig.store.check(&rig.disk).expect("every page is whole");
    found.iter().map(|found| found.problem).collect()
}

#[track_caller]
fn planted<R: Record>(id: u64, expected: &str, change: impl FnOnce(&mut R)) {
    let found = problems(id, change);
    assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
}

#[test]
fn damage_in_nodes() {
    planted::<NodeRecord>(1, "its chain leads to a foreign record", |n| {
        n.first_relationship = 9_999;
    });
    planted::<NodeRecord>(11, "its chain leads to a foreign record", |n| n.first_relationship = 0);
    planted::<NodeRecord>(1, "has a wrong first-in-chain flag", |n| n.first_relationship -= 1);
    planted::<NodeRecord>(1, "is missing from a chain", |n| n.first_relationship = NONE);
    planted::<NodeRecord>(1, "has an unknown label", |n| {
        n.labels = Labels::pack(&[0, 99]).unwrap();
    });
    planted::<NodeRecord>(1, "its labels are out of order", |n| {
        n.labels = Labels::pack(&[1, 0]).unwrap();
    });
    planted::<NodeRecord>(1, "shares a long value with another", |n| n.labels = Labels::at(0));
    planted::<NodeRecord>(1, "has a long value with a broken chain", |n| n.labels = Labels::at(99));
    planted::<NodeRecord>(0, "its groups lead to a foreign group", |n| n.first_relationship = 99);
    planted::<NodeRecord>(1, "is in a chain but not in use", |n| n.first_property = 999);
    planted::<NodeRecord>(2, "has two owners", |n| n.first_property = 0);
    planted::<NodeRecord>(1, "belongs to nobody", |n| n.first_property = NONE);
    planted::<NodeRecord>(1, "is in an index but not in use", |n| *n = NodeRecord::UNUSED);
    planted::<NodeRecord>(1, "is in the label scan store without the label", |n| {
        n.labels = Labels::pack(&[0]).unwrap();
    });
    planted::<NodeRecord>(1, "is missing from the label scan store", |n| {
        n.labels = Labels::pack(&[0, 1, 2]).unwrap();
    });
    planted::<NodeRecord>(1, "is in an index without the label or value", |n| {
        n.labels = Labels::pack(&[1]).unwrap();
    });
}

#[test]
fn damage_in_relationships_and_groups() {
    planted::<RelationshipRecord>(5, "has an unknown type", |r| r.kind = 999);
    planted::<RelationshipRecord>(0, "stands in the chain of another group", |r| r.kind = 0);
    planted::<RelationshipRecord>(6, "its chain leads to a foreign record", |r| {
        *r = RelationshipRecord::UNUSED;
    });
    planted::<RelationshipRecord>(2, "its chain leads to a foreign record", |r| r.nodes[0] = 11);
    planted::<RelationshipRecord>(1, "does not point back", |r| r.previous[1] = 20);
    planted::<RelationshipRecord>(3, "has a wrong degree", |r| {
        let first = usize::from(r.is_first[1]);
        r.previous[first] += usize::from(r.is_first[0] || r.is_first[1]) as u64;
        r.next[1 - first] = NONE;
    });
    planted::<GroupRecord>(0, "its groups lead to a foreign group", |g| g.owner = 3);
    planted::<GroupRecord>(0, "its groups lead to a foreign group", |g| *g = GroupRecord::UNUSED);
    planted::<GroupRecord>(1, "stands in the chain of another group", |g| g.first.swap(0, 1));
    planted::<GroupRecord>(1, "its type is out of order", |g| g.kind = 2);
}

#[test]
fn damage_in_properties_and_long_values() {
    let first: u64 = {
        let rig = store();
        get::<NodeRecord>(&rig, 9).first_property
    };
    planted::<PropertyRecord>(first, "does not point back", |p| p.previous = 3);
    planted::<PropertyRecord>(first, "has an unknown key", |p| {
        p.blocks[0] = p.blocks[0] & !0xffff | 999;
    });
    planted::<PropertyRecord>(first, "has a value that cannot be read", |p| {
        p.blocks[0] |= 15 << 24;
    });
    planted::<PropertyRecord>(1, "is missing from an index", |p| {
        p.blocks[0] += 1 << 34;
    });
    planted::<PropertyRecord>(2, "has a value that must be unique", |p| {
        p.blocks[0] = p.blocks[0] & ((1 << 28) - 1) | 1 << 28;
    });
    planted::<DynamicRecord>(0, "has a long value with a broken chain", |d| {
        *d = DynamicRecord::UNUSED;
    });
    planted::<DynamicRecord>(0, "has a text that is not UTF-8", |d| d.data[3] = 0xff);
    planted::<ArrayRecord>(0, "has a long value with a broken chain", |d| d.next = 77);
    planted::<LabelRecord>(0, "has another's list of labels", |d| d.data[0] = 7);
    let broken = problems::<DynamicRecord>(1, |d| d.next = 1);
    assert!(!broken.is_empty(), "a chain that points to itself");
    // A record that nobody points to.
    let mut rig = store();
    let mut image = vec![0; DynamicRecord::SIZE];
    DynamicRecord::with(b"lost", NONE).encode(&mut image);
    let id = rig.store.high[FileKind::Dynamic as usize];
    rig.store.high[FileKind::Dynamic as usize] += 1;
    rig.store.write_image(FileKind::Dynamic, id, &image, 0);
    let found = rig.store.check(&rig.disk).unwrap();
    let found: Vec<_> = found.iter().map(|f| (f.kind, f.record, f.problem)).collect();
    assert_eq!(found, [(FileKind::Dynamic, id, "belongs to nobody")]);
}

#[test]
fn damage_in_the_index_tree() {
    let mut rig = store();
    rig.store.write_entry(IndexKey::label(1, 3), false, 0);
    rig.store.write_entry(IndexKey::label(5, 4), true, 0);
    rig.store.write_entry(IndexKey::value(0, 12345, 77), true, 0);
    let found = rig.store.check(&rig.disk).unwrap();
    let found: Vec<(u64, &str)> = found.iter().map(|f| (f.record, f.problem)).collect();
    assert_eq!(
        found,
        [
            (3, "is missing from the label scan store"),
            (4, "is in the label scan store without the label"),
            (77, "is in an index but not in use"),
        ]
    );
    // A rule that is not there any more leaves its entries behind.
    let mut rig = store();
    rig.store.schema.learn(0, SchemaRecord::UNUSED);
    assert_eq!(rig.store.check(&rig.disk).unwrap().len(), 12);
}

#[test]
fn damage_in_the_schema_and_the_ids() {
    planted::<SchemaRecord>(0, "is for an unknown label", |r| r.label = 99);
    planted::<SchemaRecord>(0, "is for an unknown key", |r| r.key = 99);
    let mut rig = store();
    let mut image = vec![0; SchemaRecord::SIZE];
    get::<SchemaRecord>(&rig, 0).encode(&mut image);
    rig.store.high[FileKind::Schema as usize] += 1;
    rig.store.write_image(FileKind::Schema, 1, &image, 0);
    rig.store.high[FileKind::Nodes as usize] -= 1;
    rig.store.free.put(FileKind::Relationships, 3);
    let found = rig.store.check(&rig.disk).unwrap();
    let found: Vec<_> = found.iter().map(|f| (f.kind, f.record, f.problem)).collect();
    for expected in [
        (FileKind::Schema, 1, "repeats another rule"),
        (FileKind::Nodes, 11, "is in use behind the next free id"),
        (FileKind::Relationships, 3, "is in use and listed as unused"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
}

/// Changes a record behind the store's back.
fn change<R: Record>(rig: &mut Rig, id: u64, change: impl FnOnce(&mut R)) {
    let mut record: R = get(rig, id);
    change(&mut record);
    let mut image = vec![0; R::SIZE];
    record.encode(&mut image);
    rig.store.write_image(R::KIND, id, &image, 0);
}

/// Puts a record that nobody points to behind the last of its file.
fn strand<R: Record>(rig: &mut Rig, record: &R) {
    let mut image = vec![0; R::SIZE];
    record.encode(&mut image);
    let high = &mut rig.store.high[R::KIND as usize];
    let id = core::mem::replace(high, *high + 1);
    rig.store.write_image(R::KIND, id, &image, 0);
}

/// Plants damage in a record of that type.
fn plant(rig: &mut Rig, record_type: RecordType) {
    let misname = |rig: &mut Rig, kind: TokenKind| {
        let tokens = 0..rig.store.high[FileKind::Tokens as usize];
        let mut of_kind = tokens.filter(|id| get::<TokenRecord>(rig, *id).kind == kind as u8);
        let id = of_kind.next().expect("there is one");
        change::<TokenRecord>(rig, id, |token| token.name[0] ^= 1);
    };
    match record_type {
        RecordType::NeoStore => rig.store.free.put(FileKind::Nodes, 3),
        RecordType::Schema => change::<SchemaRecord>(rig, 0, |rule| rule.key = 99),
        RecordType::Node => change::<NodeRecord>(rig, 11, |node| node.first_relationship = 0),
        RecordType::Property => change::<PropertyRecord>(rig, 1, |p| p.previous = 3),
        RecordType::PropertyKey => misname(rig, TokenKind::PropertyKey),
        RecordType::StringProperty => strand(rig, &DynamicRecord::with(b"lost", NONE)),
        RecordType::ArrayProperty => strand(rig, &ArrayRecord::with(b"lost", NONE)),
        RecordType::Relationship => change::<RelationshipRecord>(rig, 5, |r| r.kind = 999),
        RecordType::RelationshipType => misname(rig, TokenKind::RelationshipType),
        RecordType::RelationshipGroup => change::<GroupRecord>(rig, 1, |group| group.kind = 2),
        RecordType::Label => misname(rig, TokenKind::Label),
        RecordType::NodeDynamicLabel => strand(rig, &LabelRecord::with(b"lost", NONE)),
        RecordType::LabelScanDocument => rig.store.write_entry(IndexKey::label(5, 4), true, 0),
        RecordType::Index => rig.store.write_entry(IndexKey::value(0, 12345, 7), true, 0),
    }
}

#[test]
fn every_record_type_is_reported_under_its_name() {
    for record_type in RecordType::ALL {
        let mut rig = store();
        plant(&mut rig, record_type);
        let found = rig.store.check(&rig.disk).expect("every page is whole");
        let summary = Inconsistency::summary(&found);
        assert!(summary.get(&record_type).is_some_and(|count| *count > 0), "{summary:?}");
        let own = found.iter().find(|found| found.record_type() == record_type).unwrap();
        assert!(std::format!("{own}").starts_with(record_type.name()), "{own}");
    }
    let names: std::collections::BTreeSet<_> = RecordType::ALL.map(RecordType::name).into();
    assert_eq!(names.len(), RecordType::ALL.len());
}

#[test]
fn a_record_with_several_problems_counts_once() {
    let mut rig = store();
    change::<NodeRecord>(&mut rig, 1, |n| n.labels = Labels::pack(&[99, 98]).unwrap());
    let found = rig.store.check(&rig.disk).unwrap();
    let of_nodes = found.iter().filter(|f| f.record_type() == RecordType::Node).count();
    assert_eq!((of_nodes, Inconsistency::summary(&found)[&RecordType::Node]), (2, 1));
}

#[test]
fn the_check_tells_how_far_it_is() {
    let mut builder = ImageBuilder::new(1);
    for _ in 0..5000 {
        builder.add_node(&[], &[]).unwrap();
    }
    let rig = Rig::from_image(StoreConfig::default(), &builder.finish());
    let mut told = vec![];
    let found = rig.store.check_with_progress(&rig.disk, &mut |done, of| told.push((done, of)));
    assert_eq!(found, Ok(vec![]));
    assert_eq!(told, [(0, 5000), (1024, 5000), (2048, 5000), (3072, 5000), (4096, 5000)]);
}
