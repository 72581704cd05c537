//! The HA status endpoints that load balancers ask (HA specification 5).

use alloc::borrow::Cow;
use alloc::format;

use wavetank_vocabulary::{HaRole, InstanceId, Role};

use crate::instance::Instance;

/// An endpoint under `/db/manage/server/ha`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/db/manage/server/ha/master`
    Master,
    /// `/db/manage/server/ha/slave`
    Slave,
    /// `/db/manage/server/ha/available`
    Available,
    /// `/db/manage/server/ha`
    Overview,
}

/// Status and body of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body: `text/plain`, but for the overview, which is JSON.
    pub body: Cow<'static, str>,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Endpoint; 4] =
        [Endpoint::Master, Endpoint::Slave, Endpoint::Available, Endpoint::Overview];

    /// Its path on a server.
    pub const fn path(self) -> &'static str {
        match self {
            Endpoint::Master => "/db/manage/server/ha/master",
            Endpoint::Slave => "/db/manage/server/ha/slave",
            Endpoint::Available => "/db/manage/server/ha/available",
            Endpoint::Overview => "/db/manage/server/ha",
        }
    }

    /// What an instance in that role answers to one who may ask.
    pub fn answer(self, instance: InstanceId, role: HaRole) -> Answer {
        let text = |status, body| Answer { status, body: Cow::Borrowed(body) };
        match (self, role) {
            (Endpoint::Overview, _) => Answer {
                status: 200,
                body: Cow::Owned(format!(
                    "{{\"master\":\"{0}{1}\",\"slave\":\"{0}{2}\"}}",
                    web_address(instance),
                    Endpoint::Master.path(),
                    Endpoint::Slave.path()
                )),
            },
            (Endpoint::Master, HaRole::Master) | (Endpoint::Slave, HaRole::Slave) => {
                text(200, "true")
            }
            (Endpoint::Master, HaRole::Slave) | (Endpoint::Slave, HaRole::Master) => {
                text(404, "false")
            }
            (Endpoint::Available, HaRole::Master | HaRole::Slave) => text(200, role.name()),
            (_, HaRole::Unknown) => text(404, role.name()),
        }
    }
}

/// Where an instance's web server is.
pub(crate) fn web_address(instance: InstanceId) -> alloc::string::String {
    format!("http://{instance}:7474")
}

impl Instance {
    /// What its web server answers to a GET or HEAD of the endpoint, with or without the
    /// credentials of a user; none when nobody listens. Without them it is 401, unless
    /// `dbms.security.ha_status_auth_enabled` is false.
    pub fn http(&self, endpoint: Endpoint, credentials: bool) -> Option<Answer> {
        if matches!(self.role(), Role::Down | Role::Starting | Role::Arbiter) {
            return None;
        }
        if !credentials && self.config.settings.ha_status_auth_enabled {
            return Some(Answer { status: 401, body: Cow::Borrowed("") });
        }
        Some(endpoint.answer(self.id(), self.role().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Endpoint::{Available, Master, Overview, Slave};

    #[test]
    fn answers_follow_the_table() {
        let table = [
            (Master, HaRole::Master, 200, "true"),
            (Master, HaRole::Slave, 404, "false"),
            (Master, HaRole::Unknown, 404, "UNKNOWN"),
            (Slave, HaRole::Master, 404, "false"),
            (Slave, HaRole::Slave, 200, "true"),
            (Slave, HaRole::Unknown, 404, "UNKNOWN"),
            (Available, HaRole::Master, 200, "master"),
            (Available, HaRole::Slave, 200, "slave"),
            (Available, HaRole::Unknown, 404, "UNKNOWN"),
        ];
        for (endpoint, role, status, body) in table {
            let answer = endpoint.answer(InstanceId(2), role);
            assert_eq!((answer.status, &*answer.body), (status, body), "{endpoint:?} {role:?}");
        }
        for role in [HaRole::Master, HaRole::Slave, HaRole::Unknown] {
            let answer = Overview.answer(InstanceId(2), role);
            assert_eq!(answer.status, 200);
            assert_eq!(
                &*answer.body,
                "{\"master\":\"http://i2:7474/db/manage/server/ha/master\",\
                 \"slave\":\"http://i2:7474/db/manage/server/ha/slave\"}"
            );
        }
    }

    #[test]
    fn a_role_on_the_way_is_unknown() {
        for role in [Role::Pending, Role::Detached, Role::ToMaster, Role::ToSlave] {
            assert_eq!(HaRole::from(role), HaRole::Unknown);
        }
        assert_eq!(HaRole::from(Role::Master), HaRole::Master);
        assert_eq!(HaRole::from(Role::Slave), HaRole::Slave);
    }
}
