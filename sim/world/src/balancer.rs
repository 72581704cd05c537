//! A load balancer that polls the HA endpoints, and so is wrong for a while after a
//! failover. Checks rise and fall as HAProxy's do.

use alloc::vec::Vec;

use crate::plan::{BalancerPlan, Routing};

/// One pool's view of one server.
#[derive(Clone, Copy, Debug, Default)]
struct Server {
    up: bool,
    /// Answers in a row that contradict `up`.
    streak: u16,
}

impl Server {
    fn answered(&mut self, good: bool, plan: &BalancerPlan) {
        if good == self.up {
            self.streak = 0;
            return;
        }
        self.streak += 1;
        let needed = if good { plan.rise } else { plan.fall };
        if self.streak >= needed {
            self.up = good;
            self.streak = 0;
        }
    }
}

/// The state of a balancer: a pool of masters and a pool of slaves.
#[derive(Clone, Debug)]
pub(crate) struct Balancer {
    masters: Vec<Server>,
    slaves: Vec<Server>,
    turn: usize,
    /// How many faults keep it from noticing what its polls say.
    pub(crate) stale: u16,
    /// How many faults make it refuse connections.
    pub(crate) down: u16,
}

impl Balancer {
    pub(crate) fn new(total: usize) -> Self {
        Balancer {
            masters: alloc::vec![Server::default(); total],
            slaves: alloc::vec![Server::default(); total],
            turn: 0,
            stale: 0,
            down: 0,
        }
    }

    /// An instance answered `/master` and `/slave`, or did not.
    pub(crate) fn answered(
        &mut self,
        instance: usize,
        master: bool,
        slave: bool,
        plan: &BalancerPlan,
    ) {
        if self.stale > 0 || self.down > 0 {
            return;
        }
        self.masters[instance].answered(master, plan);
        self.slaves[instance].answered(slave, plan);
    }

    /// Whether an instance may still be sent what belongs to a transaction there.
    pub(crate) fn keeps(&self, instance: usize, writes: bool) -> bool {
        self.masters[instance].up || !writes && self.slaves[instance].up
    }

    /// Where a request goes; none when its pool is empty.
    pub(crate) fn route(&mut self, routing: Routing, writes: bool) -> Option<usize> {
        let total = self.masters.len();
        let master = self.masters.iter().position(|server| server.up);
        let at_slaves = matches!(routing, Routing::Anywhere | Routing::AllToSlaves);
        if routing == Routing::AllToMaster || writes && !at_slaves {
            return master;
        }
        let all = matches!(routing, Routing::SplitOverAll | Routing::Anywhere);
        for step in 1..=total {
            let index = (self.turn + step) % total;
            if self.slaves[index].up || all && self.masters[index].up {
                self.turn = index;
                return Some(index);
            }
        }
        master
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use wavetank_vocabulary::Span;

    fn plan() -> BalancerPlan {
        BalancerPlan {
            name: String::from("front"),
            datacentre: 0,
            poll: Span::from_secs(2),
            rise: 2,
            fall: 3,
            credentials: true,
        }
    }

    #[test]
    fn a_server_rises_and_falls_by_streaks() {
        let mut balancer = Balancer::new(3);
        let ask = |b: &mut Balancer| b.route(Routing::Split, true);
        balancer.answered(0, true, false, &plan());
        assert_eq!(ask(&mut balancer), None);
        balancer.answered(0, true, false, &plan());
        assert_eq!(ask(&mut balancer), Some(0));
        for _ in 0..2 {
            balancer.answered(0, false, false, &plan());
            assert_eq!(ask(&mut balancer), Some(0));
        }
        balancer.answered(0, false, false, &plan());
        assert_eq!(ask(&mut balancer), None);
    }

    #[test]
    fn reads_go_round_the_slaves_and_to_the_master_for_want_of_one() {
        let mut balancer = Balancer::new(3);
        for _ in 0..2 {
            balancer.answered(0, true, false, &plan());
        }
        assert_eq!(balancer.route(Routing::Split, false), Some(0));
        for slave in [1, 2] {
            for _ in 0..2 {
                balancer.answered(slave, false, true, &plan());
            }
        }
        let turns: Vec<_> = (0..4).map(|_| balancer.route(Routing::Split, false)).collect();
        assert_eq!(turns, [Some(1), Some(2), Some(1), Some(2)]);
        let over_all: Vec<_> =
            (0..3).map(|_| balancer.route(Routing::SplitOverAll, false)).collect();
        assert_eq!(over_all, [Some(0), Some(1), Some(2)]);
        assert_eq!(balancer.route(Routing::AllToMaster, false), Some(0));
        let mut writes = |rule| [0; 4].map(|_| balancer.route(rule, true).unwrap());
        assert_eq!(writes(Routing::SplitOverAll), [0; 4]);
        assert_eq!(writes(Routing::AllToSlaves), [1, 2, 1, 2]);
        assert_eq!(writes(Routing::Anywhere), [0, 1, 2, 0]);
    }
}
