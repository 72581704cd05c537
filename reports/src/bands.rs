//! The role timeline: a band per instance, coloured by role, with the faults across. Written
//! by hand: a chart library has no word for it.

use std::fmt::Write;

use wavetank_vocabulary::Role;

use crate::chart::{Chart, Format, Ink, TimeAxis, opening};

const ROW: u32 = 30;
const BAND: u32 = 22;
/// Room for the names of the faults.
const TOP: u32 = 20;
/// The width of a letter, near enough to see whether a word fits.
const LETTER: f64 = 7.2;

/// One instance's band.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    pub(crate) name: String,
    /// From when on it had which role; seconds.
    pub(crate) roles: Vec<(f64, Role)>,
    /// Faults that hit it: from, to, what to say.
    pub(crate) faults: Vec<(f64, f64, String)>,
}

/// All bands.
#[derive(Clone, Debug)]
pub(crate) struct RoleChart {
    pub(crate) bands: Vec<Band>,
}

/// The class by which the style sheet colours a role.
pub(crate) const fn role_class(role: Role) -> &'static str {
    match role {
        Role::Down => "down",
        Role::Starting => "starting",
        Role::Pending | Role::Detached => "pending",
        Role::ToMaster | Role::ToSlave => "switching",
        Role::Master => "master",
        Role::Slave => "slave",
    }
}

/// Where times lie in a figure.
struct Place {
    left: f64,
    width: f64,
    end: f64,
}

impl Place {
    fn x(&self, at: f64) -> f64 {
        self.left + self.width * (at / self.end.max(1e-9)).clamp(0.0, 1.0)
    }
}

impl Chart for RoleChart {
    fn svg(&self, time: &TimeAxis, format: Format, title: &str) -> String {
        let rows = self.bands.len() as u32 * ROW;
        let bottom = TOP + rows;
        let place = Place {
            left: f64::from(format.left()),
            width: f64::from(format.width() - format.left() - Format::RIGHT),
            end: time.end,
        };
        let mut svg = opening(format, bottom + Format::BOTTOM, title);
        // Writing to a string cannot fail.
        let _ = svg.write_str("\n");
        let mut column = |from: f64, to: f64, class: &str| {
            let (x, end) = (place.x(from), place.x(to));
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{rows}\"/>",
                end - x
            );
        };
        column(0.0, time.warm_up, "outside");
        column(time.stop, time.end, "outside");
        for &(from, to) in &time.faults {
            column(from, to, "fault");
        }
        for tick in time.ticks(format) {
            let x = place.x(tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 16,
                time.label(format, tick)
            );
        }
        name_faults(&mut svg, &place, &self.bands);
        for &at in &time.masters {
            let x = place.x(at);
            let _ = writeln!(
                svg,
                "<line stroke=\"var({})\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>",
                Ink::Mark.variable()
            );
        }
        for (row, band) in (0u32..).zip(&self.bands) {
            draw_band(&mut svg, &place, band, TOP + row * ROW + (ROW - BAND) / 2);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Writes what hit whom above the bands, where there is room beside the name before.
fn name_faults(svg: &mut String, place: &Place, bands: &[Band]) {
    let mut hits: Vec<(f64, &str, Vec<&str>)> = Vec::new();
    for band in bands {
        for (from, _, what) in &band.faults {
            match hits.iter_mut().find(|hit| hit.0 == *from && hit.1 == what) {
                // A partition is one fault per link: its ends are named once.
                Some((_, _, whom)) if whom.contains(&band.name.as_str()) => {}
                Some((_, _, whom)) => whom.push(&band.name),
                None => hits.push((*from, what, vec![&band.name])),
            }
        }
    }
    hits.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = place.left;
    for (at, what, whom) in hits {
        let name = format!("{what} {}", whom.join(", "));
        let width = LETTER * name.len() as f64;
        // Near the right edge a name moves to the left.
        let x = place.x(at).min(place.left + place.width - width);
        if x >= free {
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{}\">{name}</text>", TOP - 6);
            free = x + width + LETTER;
        }
    }
}

fn draw_band(svg: &mut String, place: &Place, band: &Band, y: u32) {
    let baseline = y + BAND / 2 + 5;
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>",
        place.left - 8.0,
        band.name
    );
    let ends = band.roles.iter().skip(1).map(|&(at, _)| at).chain([place.end]);
    for (&(from, role), to) in band.roles.iter().zip(ends) {
        let (x, end) = (place.x(from), place.x(to));
        if end <= x {
            continue;
        }
        let name = role.name();
        let class = role_class(role);
        // A state that passes quickly must not become invisible.
        let width = (end - x).max(1.0);
        let _ = writeln!(
            svg,
            "<rect class=\"role {class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" \
             height=\"{BAND}\"><title>{} {name} from {from:.3} s to {to:.3} s</title></rect>",
            band.name
        );
        if width > LETTER * name.len() as f64 + 8.0 {
            let _ = writeln!(
                svg,
                "<text class=\"on {class}\" x=\"{:.1}\" y=\"{baseline}\">{name}</text>",
                x + 5.0
            );
        }
    }
    for (from, to, what) in &band.faults {
        let (x, end) = (place.x(*from), place.x(*to));
        let width = (end - x).max(2.0);
        let _ = writeln!(
            svg,
            "<rect class=\"hit\" x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"4\">\
             <title>{what} from {from:.3} s to {to:.3} s</title></rect>",
            y + BAND - 1,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(bands: Vec<Band>) -> String {
        let time = TimeAxis { end: 100.0, stop: 90.0, ..TimeAxis::default() };
        RoleChart { bands }.svg(&time, Format::Wide, "roles")
    }

    fn band(name: &str, faults: &[(f64, f64, &str)]) -> Band {
        let faults = faults.iter().map(|&(from, to, what)| (from, to, what.to_owned()));
        let roles = vec![(0.0, Role::Slave), (10.0, Role::Master), (10.0, Role::Down)];
        Band { name: name.to_owned(), roles, faults: faults.collect() }
    }

    #[test]
    fn a_band_is_as_wide_as_its_role_lasts() {
        let svg = drawn(vec![band("i1", &[])]);
        let left = f64::from(Format::Wide.left());
        let width = f64::from(Format::Wide.width() - Format::Wide.left() - Format::RIGHT);
        let slave = format!("\"role slave\" x=\"{left:.1}\" y=\"24\" width=\"{:.1}\"", 0.1 * width);
        assert!(svg.contains(&slave), "{slave} is not in {svg}");
        let down = format!("\"role down\" x=\"{:.1}\"", left + 0.1 * width);
        assert!(svg.contains(&down), "{down} is not in {svg}");
        assert!(!svg.contains("role master"), "a role that lasted no time has no band");
    }

    #[test]
    fn the_ends_of_a_partition_are_named_once() {
        let cut = (20.0, 30.0, "partition");
        let svg = drawn(vec![band("i1", &[cut, cut]), band("i2", &[cut]), band("i3", &[cut])]);
        assert_eq!(svg.matches(">partition i1, i2, i3<").count(), 1);
    }

    #[test]
    fn names_of_faults_do_not_overlap() {
        let faults = [(20.0, 30.0, "crash"), (21.0, 22.0, "pause"), (60.0, 61.0, "power-loss")];
        let svg = drawn(vec![band("i1", &faults)]);
        let shown =
            ["crash", "pause", "power-loss"].map(|what| svg.contains(&format!(">{what} i1<")));
        assert_eq!(shown, [true, false, true]);
    }
}
