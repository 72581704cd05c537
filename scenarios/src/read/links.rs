//! The network: within data centres, and the links between them, written out or measured.

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{Bytes, Span};
use wavetank_world::{LinkPlan, NetworkPlan};

use super::cluster::Built;
use super::round_trips::Matrix;
use super::{ROUND_TRIPS, Text, or};
use crate::errors::Problem;
use crate::section::{At, Section, meant};

pub(super) fn network(top: &Section<'_>) -> NetworkPlan {
    let section = top.table_or_empty("network");
    NetworkPlan {
        local: or(section.distribution("latency"), Distribution::Constant(Span::ZERO)),
        bandwidth: or(section.bandwidth("bandwidth"), Bytes(0)),
        links: Vec::new(),
    }
}

/// Between data centres a message's time hardly varies; the figure is an assumption.
const LONG_LINE_SIGMA: f64 = 0.05;

pub(super) fn links(top: &Section<'_>, built: &mut Built, text: Text<'_>) {
    let sections = top.tables("link");
    for section in &sections {
        if let Some(link) = link(section, built) {
            built.network.links.push(link);
        }
    }
    // A link that was wrong has been noted already, and may be the one that is missing.
    if built.network.links.len() < sections.len() {
        return;
    }
    let network = top.table_or_empty("network");
    if let Some(path) = network.text("rtt") {
        let Some(text) = text(ROUND_TRIPS, &path, &network) else { return };
        match Matrix::parse(&text) {
            Ok(matrix) => measured(built, &matrix),
            Err(why) => {
                let title = format!("the {ROUND_TRIPS} cannot be used");
                network.note(title, path.place, format!("{}: {why}", path.value));
                return;
            }
        }
    }
    for (b, place) in built.named_at.iter().enumerate().skip(1) {
        for a in (0..b).filter(|a| !linked(built, [*a as u16, b as u16])) {
            let [a, b] = [a, b].map(|index| &built.datacentres[index]);
            top.findings().add(
                Problem::new(
                    format!("how far is it from {a} to {b}?"),
                    *place,
                    "this data centre needs a [[link]]",
                )
                .help(format!(
                    "add [[link]] with between = [\"{a}\", \"{b}\"] and, say, round_trip = \"70ms\""
                )),
            );
        }
    }
}

/// Links that no `[[link]]` gives and the matrix does.
fn measured(built: &mut Built, matrix: &Matrix<'_>) {
    for b in 1..built.datacentres.len() {
        for a in 0..b {
            let between = [a as u16, b as u16];
            let names = [a, b].map(|index| built.datacentres[index].as_str());
            if !linked(built, between)
                && let Some(link) = matrix.link(names, between)
            {
                built.network.links.push(link);
            }
        }
    }
}

fn link(link: &Section<'_>, built: &Built) -> Option<LinkPlan> {
    let bandwidth = link.bandwidth("bandwidth");
    let ends = link.pair("between");
    let latency = match (link.span("round_trip"), link.distribution("latency")) {
        (Some(round_trip), None) => Some(Distribution::LogNormal {
            median: Span::from_nanos(round_trip.value.as_nanos() / 2),
            sigma: LONG_LINE_SIGMA,
        }),
        (None, Some(latency)) => Some(latency.value),
        (Some(_), Some(latency)) => {
            let label = "`round_trip` has said it already";
            link.note("a link has one latency", latency.place, label);
            None
        }
        (None, None) => {
            if link.has("round_trip").or(link.has("latency")).is_none() {
                link.note("`round_trip` is missing", link.place, "a [[link]] needs it");
            }
            None
        }
    };
    let At { value: [a, b], place } = ends?;
    let ends = [datacentre(link, &a, built), datacentre(link, &b, built)];
    let between = [ends[0]?, ends[1]?];
    if a.value == b.value {
        link.findings().add(
            Problem::new(
                "a link goes from one data centre to another",
                place,
                "these are the same",
            )
            .help("within a data centre, [network] says how it is"),
        );
        return None;
    }
    if linked(built, between) {
        link.note("this link is there already", place, "the same two data centres");
        return None;
    }
    Some(LinkPlan { between, latency: latency?, bandwidth: bandwidth?.value })
}

fn linked(built: &Built, [a, b]: [u16; 2]) -> bool {
    built.network.links.iter().any(|link| link.between == [a, b] || link.between == [b, a])
}

/// The index of a data centre in which instances stand.
pub(super) fn datacentre(section: &Section<'_>, name: &At<String>, built: &Built) -> Option<u16> {
    let index = built.datacentres.iter().position(|known| *known == name.value);
    if index.is_none() {
        let names: Vec<&str> = built.datacentres.iter().map(String::as_str).collect();
        section.findings().add(
            Problem::new(
                format!("unknown data centre `{}`", name.value),
                name.place,
                "no [[group]] stands there",
            )
            .help(meant(&name.value, &names)),
        );
    }
    index.map(|index| index as u16)
}
