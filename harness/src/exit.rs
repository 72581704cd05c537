//! Exit codes: one meaning each, the worst of several wins.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything held.
    Held,
    /// An expectation broke, or was not exercised.
    Broke,
    /// The input was wrong.
    Input,
    /// The cluster did not recover.
    NotRecovered,
    /// An internal error, or a run that was not deterministic.
    Internal,
    /// The surroundings failed: try again.
    Surroundings,
    /// The store of a node stopped itself.
    StoreStopped,
}

impl Exit {
    /// The code that the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Held => 0,
            Exit::Broke => 1,
            Exit::Input => 2,
            Exit::NotRecovered => 3,
            Exit::Internal => 4,
            Exit::Surroundings => 75,
            Exit::StoreStopped => wavetank_real::STORE_STOPPED,
        }
    }

    /// Of two ends the one that is told: 4 before 3 before 1; what could not even run
    /// before what ran.
    #[must_use]
    pub fn worst(self, other: Exit) -> Exit {
        let weight = |exit: Exit| match exit {
            Exit::Held => 0,
            Exit::Broke => 1,
            Exit::NotRecovered => 2,
            Exit::Surroundings | Exit::StoreStopped => 3,
            Exit::Input => 4,
            Exit::Internal => 5,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_before_three_before_one() {
        let worst = [Exit::Broke, Exit::NotRecovered, Exit::Internal, Exit::Held]
            .into_iter()
            .fold(Exit::Held, Exit::worst);
        assert_eq!(worst, Exit::Internal);
        assert_eq!(Exit::NotRecovered.worst(Exit::Broke), Exit::NotRecovered);
    }
}
