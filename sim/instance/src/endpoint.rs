//! The HA status endpoints that load balancers ask (HA specification 5).

use wavetank_vocabulary::Role;

/// An endpoint under `/db/manage/server/ha`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/db/manage/server/ha/master`
    Master,
    /// `/db/manage/server/ha/slave`
    Slave,
    /// `/db/manage/server/ha/available`
    Available,
}

/// Status and body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Text body.
    pub body: &'static str,
}

impl Endpoint {
    /// What an instance in that role answers; none when nobody listens.
    pub fn answer(self, role: Role) -> Option<Answer> {
        let answer = |status, body| Some(Answer { status, body });
        match (role, self) {
            (Role::Down | Role::Starting | Role::Arbiter, _) => None,
            (Role::Master, Endpoint::Master) | (Role::Slave, Endpoint::Slave) => {
                answer(200, "true")
            }
            (Role::Master, Endpoint::Slave) | (Role::Slave, Endpoint::Master) => {
                answer(404, "false")
            }
            (Role::Master, Endpoint::Available) => answer(200, "master"),
            (Role::Slave, Endpoint::Available) => answer(200, "slave"),
            _ => answer(404, "UNKNOWN"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_follow_the_table() {
        let ask = |endpoint: Endpoint, role| endpoint.answer(role).map(|a| (a.status, a.body));
        assert_eq!(ask(Endpoint::Master, Role::Master), Some((200, "true")));
        assert_eq!(ask(Endpoint::Master, Role::Slave), Some((404, "false")));
        assert_eq!(ask(Endpoint::Slave, Role::Slave), Some((200, "true")));
        assert_eq!(ask(Endpoint::Available, Role::Master), Some((200, "master")));
        assert_eq!(ask(Endpoint::Available, Role::Slave), Some((200, "slave")));
        for role in [Role::Pending, Role::Detached, Role::ToMaster, Role::ToSlave] {
            for endpoint in [Endpoint::Master, Endpoint::Slave, Endpoint::Available] {
                assert_eq!(ask(endpoint, role), Some((404, "UNKNOWN")));
            }
        }
        assert_eq!(ask(Endpoint::Available, Role::Starting), None);
    }
}
