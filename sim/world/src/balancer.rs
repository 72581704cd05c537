//! A load balancer that polls the HA endpoints, and so is wrong for a while after a
//! failover. Checks rise and fall as HAProxy's do.

use alloc::vec::Vec;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::client_plan::Routing;
use crate::plan::BalancerPlan;

/// What an instance answered to `/master`, `/slave` and `/available`; nothing, if it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roles {
    /// It is master.
    pub master: bool,
    /// It is a slave.
    pub slave: bool,
    /// It is one of both.
    pub available: bool,
}

/// What a balancer is told of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks {
    /// It needs the master: it writes, or must see the latest.
    pub(crate) at_master: bool,
    /// For which user, as a header says.
    pub(crate) user: u64,
    /// Of how many.
    pub(crate) users: u64,
}

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

/// Whether a rule sends writes to slaves, too.
fn writes_at_slaves(routing: Routing) -> bool {
    matches!(routing, Routing::Anywhere | Routing::AllToSlaves)
}

/// The state of a balancer: a pool of masters, one of slaves, and one of all that are available.
#[derive(Clone, Debug)]
pub(crate) struct Balancer {
    masters: Vec<Server>,
    slaves: Vec<Server>,
    available: Vec<Server>,
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
            available: alloc::vec![Server::default(); total],
            turn: 0,
            stale: 0,
            down: 0,
        }
    }

    /// An instance answered, or did not.
    pub(crate) fn answered(&mut self, instance: usize, says: Roles, plan: &BalancerPlan) {
        if self.stale > 0 || self.down > 0 {
            return;
        }
        self.masters[instance].answered(says.master, plan);
        self.slaves[instance].answered(says.slave, plan);
        self.available[instance].answered(says.available, plan);
    }

    /// Whether an instance counts as a master.
    pub(crate) fn is_master(&self, instance: usize) -> bool {
        self.masters[instance].up
    }

    /// Whether an instance may still be sent what belongs to a transaction there.
    pub(crate) fn keeps(&self, routing: Routing, instance: usize, writes: bool) -> bool {
        self.masters[instance].up
            || (!writes || writes_at_slaves(routing))
                && (self.slaves[instance].up || self.available[instance].up)
    }

    /// Where a request goes; none when its pool is empty.
    pub(crate) fn route(&mut self, routing: Routing, asks: Asks) -> Option<usize> {
        let total = self.masters.len();
        let master = self.masters.iter().position(|server| server.up);
        if routing == Routing::AllToMaster || asks.at_master && !writes_at_slaves(routing) {
            return master;
        }
        if matches!(routing, Routing::Sticky | Routing::RangeSharding | Routing::HashSharding) {
            return self.slave_of(routing, asks).or(master);
        }
        let all = matches!(routing, Routing::SplitOverAll | Routing::Anywhere);
        for step in 1..=total {
            let index = (self.turn + step) % total;
            if if all { self.available[index].up } else { self.slaves[index].up } {
                self.turn = index;
                return Some(index);
            }
        }
        master
    }

    /// The slave that a user's reads go to.
    fn slave_of(&self, routing: Routing, asks: Asks) -> Option<usize> {
        let up = || self.slaves.iter().enumerate().filter(|(_, server)| server.up);
        let count = up().count() as u64;
        let place = match routing {
            // The highest random weight (Thaler and Ravishankar 1998).
            Routing::HashSharding => {
                return up().map(|(slave, _)| slave).max_by_key(|slave| {
                    xxh3_64_with_seed(&asks.user.to_le_bytes(), *slave as u64)
                });
            }
            Routing::RangeSharding => {
                let place = u128::from(asks.user) * u128::from(count);
                (place / u128::from(asks.users.max(1))) as u64
            }
            _ => xxh3_64(&asks.user.to_le_bytes()).checked_rem(count).unwrap_or(0),
        };
        up().nth(place.min(count.saturating_sub(1)) as usize).map(|(slave, _)| slave)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use wavetank_vocabulary::Span;

    const MASTER: Roles = Roles { master: true, slave: false, available: true };
    const SLAVE: Roles = Roles { master: false, slave: true, available: true };

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

    fn asks(at_master: bool, user: u64) -> Asks {
        Asks { at_master, user, users: 100 }
    }

    #[test]
    fn the_users_of_a_slave_that_fails_move_and_with_consistent_hashing_nobody_else() {
        let mut balancer = Balancer::new(4);
        for _ in 0..2 {
            balancer.answered(0, MASTER, &plan());
            (1..4).for_each(|slave| balancer.answered(slave, SLAVE, &plan()));
        }
        let rules = [Routing::Sticky, Routing::RangeSharding, Routing::HashSharding];
        let of = |balancer: &mut Balancer| {
            rules.map(|rule| {
                let slave = |user| balancer.route(rule, asks(false, user)).unwrap();
                (0..100).map(slave).collect::<Vec<usize>>()
            })
        };
        let before = of(&mut balancer);
        for users in &before {
            for slave in 1..4 {
                let share = users.iter().filter(|at| **at == slave).count();
                assert!((20..=50).contains(&share), "{share} of 100 at {slave}");
            }
        }
        assert_eq!(before, of(&mut balancer), "each stays where it is");
        assert!(before[1].is_sorted(), "ranges");
        for _ in 0..3 {
            balancer.answered(2, Roles::default(), &plan());
        }
        let after = of(&mut balancer);
        for (one, other) in before[2].iter().zip(&after[2]) {
            assert_ne!(*other, 2);
            assert!(*one == 2 || one == other, "{one} moved to {other}");
        }
    }

    #[test]
    fn a_write_transaction_stays_at_a_slave_where_the_rule_sends_writes_there() {
        let mut balancer = Balancer::new(2);
        for _ in 0..2 {
            balancer.answered(0, MASTER, &plan());
            balancer.answered(1, SLAVE, &plan());
        }
        for rule in [Routing::Anywhere, Routing::AllToSlaves] {
            assert!(balancer.keeps(rule, 1, true), "{rule:?}");
        }
        for rule in [Routing::AllToMaster, Routing::Split, Routing::Sticky] {
            assert!(!balancer.keeps(rule, 1, true), "{rule:?}: it is no master any more");
            assert!(balancer.keeps(rule, 1, false) && balancer.keeps(rule, 0, true), "{rule:?}");
        }
        (0..3).for_each(|_| balancer.answered(1, Roles::default(), &plan()));
        assert!(!balancer.keeps(Routing::Anywhere, 1, true), "it is down");
    }

    #[test]
    fn a_server_rises_and_falls_by_streaks() {
        let mut balancer = Balancer::new(3);
        let ask = |b: &mut Balancer| b.route(Routing::Split, asks(true, 0));
        balancer.answered(0, MASTER, &plan());
        assert_eq!(ask(&mut balancer), None);
        balancer.answered(0, MASTER, &plan());
        assert_eq!(ask(&mut balancer), Some(0));
        for _ in 0..2 {
            balancer.answered(0, Roles::default(), &plan());
            assert_eq!(ask(&mut balancer), Some(0));
        }
        balancer.answered(0, Roles::default(), &plan());
        assert_eq!(ask(&mut balancer), None);
    }

    #[test]
    fn over_all_goes_where_available_is_answered() {
        let mut balancer = Balancer::new(3);
        for _ in 0..2 {
            balancer.answered(0, MASTER, &plan());
            balancer.answered(1, SLAVE, &plan());
            // It says that it is a slave, and not that it is available.
            balancer.answered(2, Roles { available: false, ..SLAVE }, &plan());
        }
        let turns = |balancer: &mut Balancer, rule| {
            [0; 4].map(|_| balancer.route(rule, asks(false, 0)).unwrap())
        };
        assert_eq!(turns(&mut balancer, Routing::SplitOverAll), [1, 0, 1, 0]);
        assert_eq!(turns(&mut balancer, Routing::Split), [1, 2, 1, 2]);
    }

    #[test]
    fn reads_go_round_the_slaves_and_to_the_master_for_want_of_one() {
        let mut balancer = Balancer::new(3);
        for _ in 0..2 {
            balancer.answered(0, MASTER, &plan());
        }
        assert_eq!(balancer.route(Routing::Split, asks(false, 0)), Some(0));
        for slave in [1, 2] {
            for _ in 0..2 {
                balancer.answered(slave, SLAVE, &plan());
            }
        }
        let turns: Vec<_> =
            (0..4).map(|_| balancer.route(Routing::Split, asks(false, 0))).collect();
        assert_eq!(turns, [Some(1), Some(2), Some(1), Some(2)]);
        let over_all: Vec<_> =
            (0..3).map(|_| balancer.route(Routing::SplitOverAll, asks(false, 0))).collect();
        assert_eq!(over_all, [Some(0), Some(1), Some(2)]);
        assert_eq!(balancer.route(Routing::AllToMaster, asks(false, 0)), Some(0));
        let mut writes = |rule| [0; 4].map(|_| balancer.route(rule, asks(true, 0)).unwrap());
        assert_eq!(writes(Routing::SplitOverAll), [0; 4]);
        assert_eq!(writes(Routing::AllToSlaves), [1, 2, 1, 2]);
        assert_eq!(writes(Routing::Anywhere), [0, 1, 2, 0]);
    }
}
