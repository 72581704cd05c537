//! JUnit XML in the form that CI servers agree on: `testsuites` > `testsuite` > `testcase` with
//! `failure` or `error` (the schema of the Jenkins xUnit plugin and of Surefire).

use std::fmt::Write;

use super::{CampaignResult, FailedSeed, ScenarioTally};

/// What is wrong with an expectation over all seeds, as a case of its own.
struct RuleCase<'a> {
    check: &'a str,
    failure: Option<String>,
    /// What plays a seed for which it did not hold, and where it is kept.
    again: String,
}

pub(super) fn text(result: &CampaignResult) -> String {
    let suites: Vec<Suite<'_>> =
        result.scenarios.iter().map(|tally| Suite::new(result, tally)).collect();
    let sum = |of: fn(&Suite<'_>) -> usize| suites.iter().map(|suite| of(suite)).sum::<usize>();
    let demands = demands(result);
    let unmet = |element| {
        let unmet = demands.iter().filter(|it| it.element == element && !it.lines.is_empty());
        unmet.count()
    };
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites name=\"wavetank\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">",
        sum(|suite| suite.tests()) + demands.len(),
        sum(|suite| suite.failures()) + unmet("failure"),
        sum(|suite| suite.errors()) + unmet("error"),
        result.wall_seconds
    );
    for suite in &suites {
        suite.write(&mut text, result);
    }
    demands.iter().for_each(|demand| demand.write(&mut text));
    text.push_str("</testsuites>\n");
    text
}

/// What is demanded of the campaign as a whole, as a suite of one case.
struct Demand<'a> {
    suite: &'static str,
    case: &'static str,
    /// What it is if it is not met: a failure, or an error for what was not even tried.
    element: &'static str,
    message: String,
    /// What of it is not met.
    lines: &'a [String],
}

fn demands(result: &CampaignResult) -> Vec<Demand<'_>> {
    let covered = result.coverage.lacking.as_deref().map(|lines| Demand {
        suite: "coverage",
        case: "required coverage",
        element: "failure",
        message: format!("{} of what is required not covered", lines.len()),
        lines,
    });
    let played = (!result.missing.is_empty()).then(|| Demand {
        suite: "campaign",
        case: "all that was asked for",
        element: "error",
        message: "too little was played".to_owned(),
        lines: &result.missing,
    });
    covered.into_iter().chain(played).collect()
}

impl Demand<'_> {
    fn write(&self, text: &mut String) {
        let Demand { suite, case, element, message, lines } = self;
        let unmet = |kind| usize::from(*element == kind && !lines.is_empty());
        let _ = write!(
            text,
            "  <testsuite name=\"{suite}\" tests=\"1\" failures=\"{}\" errors=\"{}\" \
             skipped=\"0\" time=\"0.000\">\n    \
             <testcase name=\"{case}\" classname=\"{suite}\" time=\"0.000\"",
            unmet("failure"),
            unmet("error")
        );
        let _ = match lines.is_empty() {
            true => writeln!(text, "/>"),
            false => writeln!(
                text,
                ">\n      <{element} type=\"{suite}\" message=\"{message}\">{}</{element}>\n    \
                 </testcase>",
                escaped(&lines.join("\n"))
            ),
        };
        text.push_str("  </testsuite>\n");
    }
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
        // One shard judges no rule: a case of it would say that it holds.
        let judged = result.rules.iter().filter(|_| !result.one_shard);
        let rules = judged.filter(|rule| rule.scenario == *name).map(|rule| {
            let failure = (!rule.satisfied).then(|| {
                let (held, runs, asked) = (rule.held, rule.runs, &rule.seeds);
                format!("held for {held} of {runs} seeds, {asked} asked for")
            });
            let mut again = Vec::new();
            if let Some(one) = &rule.failing {
                again.push(format!("again: {}", one.command));
                again.extend(one.folder.iter().map(|folder| format!("kept: {folder}")));
            }
            RuleCase { check: &rule.check, failure, again: again.join("\n") }
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
