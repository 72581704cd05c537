//! JUnit XML in the form that CI servers agree on: `testsuites` > `testsuite` > `testcase` with
//! `failure` or `error` (the schema of the Jenkins xUnit plugin and of Surefire).

use std::fmt::Write;

use super::{CampaignResult, FailedSeed, ScenarioTally};

/// What is wrong with an expectation over all seeds, as a case of its own.
struct RuleCase<'a> {
    check: &'a str,
    failure: Option<String>,
    /// What plays a seed for which it did not hold.
    again: String,
}

pub(super) fn text(result: &CampaignResult) -> String {
    let suites: Vec<Suite<'_>> =
        result.scenarios.iter().map(|tally| Suite::new(result, tally)).collect();
    let sum = |of: fn(&Suite<'_>) -> usize| suites.iter().map(|suite| of(suite)).sum::<usize>();
    let required = result.coverage.lacking.as_deref();
    let lacks = required.is_some_and(|lacking| !lacking.is_empty());
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites name=\"wavetank\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">",
        sum(|suite| suite.tests()) + usize::from(required.is_some()),
        sum(|suite| suite.failures()) + usize::from(lacks),
        sum(|suite| suite.errors()),
        result.wall_seconds
    );
    for suite in &suites {
        suite.write(&mut text, result);
    }
    if let Some(lacking) = required {
        write_required(&mut text, lacking);
    }
    text.push_str("</testsuites>\n");
    text
}

/// What had to be covered, as a suite of one case.
fn write_required(text: &mut String, lacking: &[String]) {
    let failures = usize::from(!lacking.is_empty());
    let _ = write!(
        text,
        "  <testsuite name=\"coverage\" tests=\"1\" failures=\"{failures}\" errors=\"0\" \
         skipped=\"0\" time=\"0.000\">\n    \
         <testcase name=\"required coverage\" classname=\"coverage\" time=\"0.000\""
    );
    let _ = match lacking.len() {
        0 => writeln!(text, "/>"),
        count => writeln!(
            text,
            ">\n      <failure type=\"coverage\" message=\"{count} of what is required not \
             covered\">{}</failure>\n    </testcase>",
            escaped(&lacking.join("\n"))
        ),
    };
    text.push_str("  </testsuite>\n");
}

struct Suite<'a> {
    tally: &'a ScenarioTally,
    failed: Vec<&'a FailedSeed>,
    rules: Vec<RuleCase<'a>>,
}

impl<'a> Suite<'a> {
    fn new(result: &'a CampaignResult, tally: &'a ScenarioTally) -> Self {
        let name = &tally.scenario;
        let failed = result.failures.iter().filter(|failed| failed.result.scenario == *name);
        let rules = result.rules.iter().filter(|rule| rule.scenario == *name).map(|rule| {
            let failure = (!rule.satisfied && !result.one_shard).then(|| {
                let (held, runs, asked) = (rule.held, rule.runs, &rule.seeds);
                format!("held for {held} of {runs} seeds, {asked} asked for")
            });
            let again = rule.failing.as_ref();
            let again = again.map_or_else(String::new, |one| format!("again: {}", one.command));
            RuleCase { check: &rule.check, failure, again }
        });
        Suite { tally, failed: failed.collect(), rules: rules.collect() }
    }

    /// One case for all that held, one for each seed that did not, one for each rule.
    fn tests(&self) -> usize {
        usize::from(self.tally.held > 0) + self.failed.len() + self.rules.len()
    }

    fn errors(&self) -> usize {
        self.failed.iter().filter(|failed| failed.result.error.is_some()).count()
    }

    fn failures(&self) -> usize {
        let rules = self.rules.iter().filter(|rule| rule.failure.is_some()).count();
        self.failed.len() - self.errors() + rules
    }

    fn write(&self, text: &mut String, result: &CampaignResult) {
        let name = escaped(&self.tally.scenario);
        let _ = writeln!(
            text,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" \
             skipped=\"0\" time=\"{:.3}\">",
            self.tests(),
            self.failures(),
            self.errors(),
            self.tally.wall_seconds
        );
        text.push_str("    <properties>\n");
        for (key, value) in
            [("version", &result.version), ("scenario_digest", &self.tally.scenario_digest)]
        {
            let _ = writeln!(text, "      <property name=\"{key}\" value=\"{}\"/>", escaped(value));
        }
        text.push_str("    </properties>\n");
        if self.tally.held > 0 {
            let seconds: f64 = self.failed.iter().map(|failed| failed.result.wall_seconds).sum();
            let _ = writeln!(
                text,
                "    <testcase name=\"seeds that held\" classname=\"{name}\" time=\"{:.3}\"/>",
                (self.tally.wall_seconds - seconds).max(0.0)
            );
        }
        for failed in &self.failed {
            let (element, kind) = match &failed.result.error {
                Some(_) => ("error", "internal".to_owned()),
                None => ("failure", kind(failed)),
            };
            let _ = writeln!(
                text,
                "    <testcase name=\"seed {}\" classname=\"{name}\" time=\"{:.3}\">\n      \
                 <{element} type=\"{}\" message=\"{}\">{}</{element}>\n    </testcase>",
                failed.result.seed,
                failed.result.wall_seconds,
                escaped(&kind),
                escaped(&failed.result.headline()),
                escaped(&details(failed))
            );
        }
        for rule in &self.rules {
            let head = format!(
                "    <testcase name=\"{} over all seeds\" classname=\"{name}\" time=\"0.000\"",
                escaped(rule.check)
            );
            let _ = match &rule.failure {
                None => writeln!(text, "{head}/>"),
                Some(why) => writeln!(
                    text,
                    "{head}>\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>",
                    escaped(rule.check),
                    escaped(why),
                    escaped(&rule.again)
                ),
            };
        }
        text.push_str("  </testsuite>\n");
    }
}

/// What broke first, by name.
fn kind(failed: &FailedSeed) -> String {
    match (&failed.result.waiting, failed.result.failures.first()) {
        (Some(_), _) => "not-recovered".to_owned(),
        (None, first) => first.map_or_else(|| "broke".to_owned(), |first| first.check.clone()),
    }
}

fn details(failed: &FailedSeed) -> String {
    let mut lines: Vec<String> = failed
        .result
        .failures
        .iter()
        .map(|broken| format!("{} {}: {}", broken.check, broken.verdict.name(), broken.why))
        .collect();
    lines.extend(failed.result.waiting.iter().map(|what| format!("did not recover: {what}")));
    lines.extend(failed.result.error.iter().cloned());
    lines.push(format!("digest {}", failed.result.digest));
    lines.push(format!("again: {}", failed.command));
    lines.extend(failed.folder.iter().map(|folder| format!("kept: {folder}")));
    if let Some(small) = &failed.smallest {
        lines.push(format!("smallest: {}", small.file));
    }
    lines.join("\n")
}

/// Text as an attribute or content of XML 1.0, which has no way to say most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
