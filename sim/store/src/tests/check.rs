//! The consistency check finds each kind of damage that is planted, and nothing else.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::NodeId;

use crate::cache::PageKey;
use crate::record::{
    ArrayRecord, Dynamic, DynamicRecord, GroupRecord, LabelRecord, Labels, NONE, NodeRecord,
    PropertyRecord, Record, RelationshipRecord, SchemaRecord, TokenRecord,
};
use crate::testing::Rig;
use crate::tree::{self, IndexKey};
use crate::value::values;
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

/// A problem, and how a store gets it.
type Planting = (Problem, Box<dyn Fn(&mut Rig)>);

/// Damage in one record.
fn on<R: Record + 'static>(id: u64, problem: Problem, by: impl Fn(&mut R) + 'static) -> Planting {
    (problem, Box::new(move |rig| change(rig, id, &by)))
}

/// Damage anywhere.
fn anywhere(problem: Problem, by: impl Fn(&mut Rig) + 'static) -> Planting {
    (problem, Box::new(by))
}

/// Damage in the page of the index tree that `is` it.
fn in_tree(
    problem: Problem,
    is: impl Fn(&[u8]) -> bool + 'static,
    by: impl Fn(&mut [u8]) + 'static,
) -> Planting {
    anywhere(problem, move |rig| {
        let pages = 0..rig.store.counts.logical[FileKind::Index as usize];
        let frames = pages.map(|page| rig.store.cache.find(PageKey(FileKind::Index, page)));
        let mut frames: Vec<_> = frames.map(|frame| frame.expect("all is in memory")).collect();
        frames.retain(|frame| is(rig.store.cache.frame(*frame).page().body()));
        by(rig.store.cache.page_mut(frames[0]).body_mut());
    })
}

fn in_nodes() -> Vec<Planting> {
    vec![
        on::<NodeRecord>(1, Problem::ForeignChain, |n| {
            n.first_relationship = 9_999;
        }),
        on::<NodeRecord>(11, Problem::ForeignChain, |n| n.first_relationship = 0),
        on::<NodeRecord>(1, Problem::FirstFlag, |n| n.first_relationship -= 1),
        on::<NodeRecord>(1, Problem::MissingFromChain, |n| n.first_relationship = NONE),
        on::<NodeRecord>(1, Problem::UnknownLabel, |n| {
            n.labels = Labels::pack(&[0, 99]).unwrap();
        }),
        on::<NodeRecord>(1, Problem::LabelsOutOfOrder, |n| {
            n.labels = Labels::pack(&[1, 0]).unwrap();
        }),
        on::<NodeRecord>(1, Problem::SharedLongValue, |n| n.labels = Labels::at(0)),
        on::<NodeRecord>(1, Problem::BrokenLongValue, |n| n.labels = Labels::at(99)),
        on::<NodeRecord>(0, Problem::ForeignGroup, |n| n.first_relationship = 99),
        on::<NodeRecord>(1, Problem::NotInUse, |n| n.first_property = 999),
        on::<NodeRecord>(2, Problem::TwoOwners, |n| n.first_property = 0),
        on::<NodeRecord>(1, Problem::Orphan, |n| n.first_property = NONE),
        on::<NodeRecord>(1, Problem::IndexedNotInUse, |n| *n = NodeRecord::UNUSED),
        on::<NodeRecord>(1, Problem::ScannedWithoutLabel, |n| {
            n.labels = Labels::pack(&[0]).unwrap();
        }),
        on::<NodeRecord>(1, Problem::MissingFromScan, |n| {
            n.labels = Labels::pack(&[0, 1, 2]).unwrap();
        }),
        on::<NodeRecord>(1, Problem::IndexedWithoutValue, |n| {
            n.labels = Labels::pack(&[1]).unwrap();
        }),
    ]
}

fn in_relationships_and_groups() -> Vec<Planting> {
    vec![
        on::<RelationshipRecord>(5, Problem::UnknownType, |r| r.kind = 999),
        on::<RelationshipRecord>(0, Problem::OtherGroup, |r| r.kind = 0),
        on::<RelationshipRecord>(6, Problem::ForeignChain, |r| {
            *r = RelationshipRecord::UNUSED;
        }),
        on::<RelationshipRecord>(2, Problem::ForeignChain, |r| r.nodes[0] = 11),
        on::<RelationshipRecord>(1, Problem::NoWayBack, |r| r.previous[1] = 20),
        on::<RelationshipRecord>(3, Problem::Degree, |r| {
            let first = usize::from(r.is_first[1]);
            r.previous[first] += usize::from(r.is_first[0] || r.is_first[1]) as u64;
            r.next[1 - first] = NONE;
        }),
        on::<GroupRecord>(0, Problem::ForeignGroup, |g| g.owner = 3),
        on::<GroupRecord>(0, Problem::ForeignGroup, |g| *g = GroupRecord::UNUSED),
        on::<GroupRecord>(1, Problem::OtherGroup, |g| g.first.swap(0, 1)),
        on::<GroupRecord>(1, Problem::TypeOutOfOrder, |g| g.kind = 2),
        on::<RelationshipRecord>(1, Problem::ChainTwice, |r| r.next = [1, 1]),
        on::<GroupRecord>(1, Problem::GroupTwice, |g| g.next = 1),
        on::<GroupRecord>(1, Problem::EmptyGroup, |g| g.first = [NONE; 3]),
        anywhere(Problem::Orphan, |rig| {
            let group = get::<GroupRecord>(rig, 0);
            strand(rig, &group);
        }),
    ]
}

/// The first property record of node 9, which has several values.
fn of_node_9() -> u64 {
    get::<NodeRecord>(&store(), 9).first_property
}

fn in_properties_and_long_values() -> Vec<Planting> {
    let first = of_node_9();
    vec![
        on::<PropertyRecord>(first, Problem::NoWayBack, |p| p.previous = 3),
        on::<PropertyRecord>(first, Problem::UnknownKey, |p| {
            p.blocks[0] = p.blocks[0] & !0xffff | 999;
        }),
        on::<PropertyRecord>(first, Problem::UnreadableValue, |p| {
            p.blocks[0] |= 15 << 24;
        }),
        on::<PropertyRecord>(1, Problem::MissingFromIndex, |p| {
            p.blocks[0] += 1 << 34;
        }),
        on::<PropertyRecord>(2, Problem::NotUnique, |p| {
            p.blocks[0] = p.blocks[0] & ((1 << 28) - 1) | 1 << 28;
        }),
        on::<DynamicRecord>(0, Problem::BrokenLongValue, |d| {
            *d = DynamicRecord::UNUSED;
        }),
        on::<DynamicRecord>(0, Problem::NotUtf8, |d| d.data[3] = 0xff),
        on::<ArrayRecord>(0, Problem::BrokenLongValue, |d| d.next = 77),
        on::<LabelRecord>(0, Problem::OtherLabels, |d| d.data[0] = 7),
        anywhere(Problem::KeyTwice, |rig| {
            let mut records = 0..rig.store.high[FileKind::Properties as usize];
            let several = |id: &u64| values(&get::<PropertyRecord>(rig, *id).blocks).count() > 1;
            let id = records.find(several).expect("one has several values");
            change::<PropertyRecord>(rig, id, |p| {
                let places: Vec<usize> = values(&p.blocks).map(|(place, _)| place).collect();
                p.blocks[places[1]] = p.blocks[places[1]] & !0xffff | p.blocks[places[0]] & 0xffff;
            });
        }),
        // The second byte of an array is the width of its items: in whichever record it begins.
        anywhere(Problem::NoArray, |rig| {
            for id in 0..rig.store.high[FileKind::Arrays as usize] {
                change::<ArrayRecord>(rig, id, |array| array.data[1] = 0);
            }
        }),
        // A chain that points to itself.
        on::<DynamicRecord>(1, Problem::BrokenLongValue, |d| d.next = 1),
        anywhere(Problem::Orphan, |rig| strand(rig, &DynamicRecord::with(b"lost", NONE))),
    ]
}

fn in_schema_tokens_and_ids() -> Vec<Planting> {
    vec![
        on::<SchemaRecord>(0, Problem::RuleUnknownLabel, |r| r.label = 99),
        on::<SchemaRecord>(0, Problem::RuleUnknownKey, |r| r.key = 99),
        anywhere(Problem::RuleTwice, |rig| {
            let rule = get::<SchemaRecord>(rig, 0);
            strand(rig, &rule);
        }),
        anywhere(Problem::OtherToken, |rig| misname(rig, TokenKind::Label)),
        anywhere(Problem::BehindNextFree, |rig| rig.store.high[FileKind::Nodes as usize] -= 1),
        anywhere(Problem::ListedAsUnused, |rig| rig.store.free.put(FileKind::Relationships, 3)),
    ]
}

fn in_the_index_tree() -> Vec<Planting> {
    let inner = |body: &[u8]| tree::level(body) > 0;
    let leaf = |body: &[u8]| tree::level(body) == 0 && tree::count(body) > 1;
    let followed = |body: &[u8]| tree::level(body) == 0 && tree::next_leaf(body) != 0;
    let last = |body: &[u8]| tree::level(body) == 0 && tree::next_leaf(body) == 0;
    // Behind a header of 16 bytes, an entry of an inner page ends with the number of a child.
    let child = 16 + 20..16 + 24;
    let elsewhere = child.clone();
    vec![
        anywhere(Problem::MissingFromScan, |rig| {
            rig.store.write_entry(IndexKey::label(1, 3), false, 0);
        }),
        anywhere(Problem::ScannedWithoutLabel, |rig| {
            rig.store.write_entry(IndexKey::label(5, 4), true, 0);
        }),
        anywhere(Problem::IndexedNotInUse, |rig| {
            rig.store.write_entry(IndexKey::value(0, 12345, 77), true, 0);
        }),
        // A rule that is not there any more leaves its entries behind.
        anywhere(Problem::IndexedWithoutValue, |rig| {
            rig.store.schema.learn(0, SchemaRecord::UNUSED);
        }),
        in_tree(Problem::NoChildren, inner, |body| body[2..4].fill(0)),
        in_tree(Problem::MissingTreePage, inner, move |body| body[child.clone()].fill(0xee)),
        in_tree(Problem::MisplacedTreePage, inner, move |body| body[elsewhere.clone()].fill(0)),
        in_tree(Problem::MisplacedTreePage, leaf, |body| body[0] = 9),
        // The bound of the second child, behind the first one's entry: what stands in the first
        // child's right half is then looked for there, and what is in the second not at all.
        in_tree(Problem::OutOfBounds, inner, |body| body[16 + 24 + 4..][..8].fill(0xff)),
        in_tree(Problem::WrongNextLeaf, followed, |body| body[4..8].fill(0)),
        in_tree(Problem::WrongNextLeaf, last, |body| body[4] = 1),
        anywhere(Problem::WrongNextLeaf, move |rig| {
            let pages = 0..rig.store.counts.logical[FileKind::Index as usize];
            let key = |page: &u32| PageKey(FileKind::Index, *page);
            for page in pages {
                let frame = rig.store.cache.find(key(&page)).expect("all is in memory");
                if followed(rig.store.cache.frame(frame).page().body()) {
                    let body = rig.store.cache.page_mut(frame).body_mut();
                    body[4..8].copy_from_slice(&page.to_le_bytes());
                    return;
                }
            }
        }),
        in_tree(Problem::EntriesOutOfOrder, leaf, |body| {
            let (one, two) = body[16..56].split_at_mut(20);
            one.swap_with_slice(two);
        }),
    ]
}

/// Each planting is found as what it is; and there is one for everything that can be found.
#[test]
fn every_problem_is_found_where_it_is_planted() {
    let plantings = [
        in_nodes(),
        in_relationships_and_groups(),
        in_properties_and_long_values(),
        in_schema_tokens_and_ids(),
        in_the_index_tree(),
    ];
    let mut planted = BTreeSet::new();
    for (problem, plant) in plantings.into_iter().flatten() {
        let mut rig = store();
        plant(&mut rig);
        let found = rig.store.check(&rig.disk).expect("every page is whole");
        let found: Vec<Problem> = found.iter().map(|found| found.problem).collect();
        assert!(found.contains(&problem), "{problem:?} is not in {found:?}");
        planted.insert(problem);
    }
    let missing: Vec<_> = Problem::ALL.iter().filter(|one| !planted.contains(one)).collect();
    assert!(missing.is_empty(), "nothing plants {missing:?}");
    let texts: BTreeSet<_> = Problem::ALL.iter().map(|problem| problem.text()).collect();
    assert_eq!(texts.len(), Problem::ALL.len());
}

#[test]
fn what_is_found_names_its_record_and_nothing_else_is_found() {
    let mut rig = store();
    strand(&mut rig, &DynamicRecord::with(b"lost", NONE));
    let id = rig.store.high[FileKind::Dynamic as usize] - 1;
    let found = rig.store.check(&rig.disk).unwrap();
    let found: Vec<_> = found.iter().map(|f| (f.kind, f.record, f.problem)).collect();
    assert_eq!(found, [(FileKind::Dynamic, id, Problem::Orphan)]);
    let mut rig = store();
    rig.store.write_entry(IndexKey::label(1, 3), false, 0);
    rig.store.write_entry(IndexKey::label(5, 4), true, 0);
    rig.store.write_entry(IndexKey::value(0, 12345, 77), true, 0);
    let found = rig.store.check(&rig.disk).unwrap();
    let found: Vec<_> = found.iter().map(|f| (f.record, f.problem)).collect();
    assert_eq!(
        found,
        [
            (3, Problem::MissingFromScan),
            (4, Problem::ScannedWithoutLabel),
            (77, Problem::IndexedNotInUse),
        ]
    );
    let mut rig = store();
    rig.store.schema.learn(0, SchemaRecord::UNUSED);
    assert_eq!(rig.store.check(&rig.disk).unwrap().len(), 12);
    let mut rig = store();
    rig.store.high[FileKind::Nodes as usize] -= 1;
    rig.store.free.put(FileKind::Relationships, 3);
    let found = rig.store.check(&rig.disk).unwrap();
    let found: Vec<_> = found.iter().map(|f| (f.kind, f.record, f.problem)).collect();
    for expected in [
        (FileKind::Nodes, 11, Problem::BehindNextFree),
        (FileKind::Relationships, 3, Problem::ListedAsUnused),
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

/// Gives the first token of a kind another name.
fn misname(rig: &mut Rig, kind: TokenKind) {
    let tokens = 0..rig.store.high[FileKind::Tokens as usize];
    let mut of_kind = tokens.filter(|id| get::<TokenRecord>(rig, *id).kind == kind as u8);
    let id = of_kind.next().expect("there is one");
    change::<TokenRecord>(rig, id, |token| token.name[0] ^= 1);
}

/// Plants damage in a record of that type.
fn plant(rig: &mut Rig, record_type: RecordType) {
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
    let names: BTreeSet<_> = RecordType::ALL.map(RecordType::name).into();
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
