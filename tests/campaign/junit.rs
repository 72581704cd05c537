//! What JUnit XML must look like for CI servers.

use std::collections::BTreeMap;

/// The elements of JUnit XML with the attributes that CI servers know, and what may lie in them.
const JUNIT: [(&str, &[&str], &[&str]); 7] = [
    ("testsuites", &["name", "tests", "failures", "errors", "time"], &["testsuite"]),
    (
        "testsuite",
        &["name", "tests", "failures", "errors", "skipped", "time"],
        &["properties", "testcase"],
    ),
    ("properties", &[], &["property"]),
    ("property", &["name", "value"], &[]),
    ("testcase", &["name", "classname", "time"], &["failure", "error"]),
    ("failure", &["type", "message"], &[]),
    ("error", &["type", "message"], &[]),
];

/// An element that is not closed yet: its name, its attributes, how often what lies in it.
type Open = (String, BTreeMap<String, String>, BTreeMap<String, u64>);

/// Reads the XML as far as JUnit needs it: well-formed, only known elements and attributes in
/// their places, and counts that agree with what is there.
pub(crate) fn junit_is_valid(text: &str) {
    let body = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a head");
    let mut open: Vec<Open> = Vec::new();
    let mut roots = 0;
    let mut wrong: BTreeMap<String, u64> = BTreeMap::new();
    let mut sums = [("tests", 0), ("failures", 0), ("errors", 0)];
    for part in body.split('<').skip(1) {
        let (tag, content) = part.split_once('>').expect("a tag ends");
        let entities = content.split('&').skip(1);
        for entity in entities {
            let name = entity.split(';').next().unwrap();
            assert!(["amp", "lt", "gt", "quot", "apos"].contains(&name), "&{name};");
        }
        assert!(
            content.trim().is_empty() || tag.starts_with("failure") || tag.starts_with("error")
        );
        let closed = tag.strip_prefix('/').map(str::to_owned);
        if closed.is_none() {
            let empty = tag.ends_with('/');
            let tag = tag.trim_end_matches('/');
            let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
            let (_, known, _) = JUNIT.iter().find(|(known, ..)| *known == name).expect(name);
            let mut attributes = BTreeMap::new();
            while !rest.trim().is_empty() {
                let (key, after) = rest.trim().split_once("=\"").expect("an attribute");
                let (value, after) = after.split_once('"').expect("its value ends");
                assert!(known.contains(&key), "{name} has no {key}");
                assert!(attributes.insert(key.to_owned(), value.to_owned()).is_none());
                rest = after;
            }
            assert_eq!(attributes.len(), known.len(), "{name}: {attributes:?}");
            // The schema's types: counts are whole, times are decimals without an exponent.
            for (key, value) in &attributes {
                let digits =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                assert!(
                    match key.as_str() {
                        "tests" | "failures" | "errors" | "skipped" => digits(value),
                        "time" => value.split('.').count() <= 2 && value.split('.').all(digits),
                        "name" | "classname" | "type" => !value.is_empty(),
                        _ => true,
                    },
                    "{name} has {key}=\"{value}\""
                );
            }
            match open.last_mut() {
                Some((around, _, counts)) => {
                    let (_, _, inside) = JUNIT.iter().find(|(known, ..)| known == around).unwrap();
                    assert!(inside.contains(&name), "{name} in {around}");
                    // In the schema's order, and one outcome for each case.
                    let later = inside.iter().skip_while(|known| **known != name).skip(1);
                    assert!(
                        later.clone().all(|later| !counts.contains_key(*later))
                            || around == "testcase"
                    );
                    assert!(around != "testcase" || counts.is_empty(), "two outcomes");
                    *counts.entry(name.to_owned()).or_default() += 1;
                }
                None => roots += 1,
            }
            if empty {
                continue;
            }
            open.push((name.to_owned(), attributes, BTreeMap::new()));
            if content.trim().is_empty() {
                continue;
            }
        }
        if let Some(name) = closed {
            let (opened, attributes, counts) = open.pop().expect("something to close");
            assert_eq!(name, opened);
            for of in ["failures", "errors"].into_iter().filter(|_| name == "testsuite") {
                let there = wrong.remove(of.trim_end_matches('s')).unwrap_or(0);
                assert_eq!(attributes[of], there.to_string(), "{attributes:?}");
            }
            if ["failure", "error"].contains(&name.as_str()) {
                *wrong.entry(name.clone()).or_default() += 1;
            }
            if name == "testsuite" {
                let cases = counts.get("testcase").copied().unwrap_or(0);
                assert_eq!(attributes["tests"], cases.to_string());
                for (of, sum) in &mut sums {
                    *sum += attributes[*of].parse::<u64>().unwrap();
                }
            }
            if name == "testsuites" {
                for (of, sum) in &sums {
                    assert_eq!(attributes[*of], sum.to_string(), "{of} of all suites");
                }
            }
        }
    }
    assert!(open.is_empty() && roots == 1, "{open:?}");
}
