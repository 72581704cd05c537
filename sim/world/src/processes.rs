//! The lives of processes: how they start, and how they end.

use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_cluster::Configuration;
use wavetank_instance::{Input, Instance, InstanceConfig};
use wavetank_vocabulary::{Classes, Fact, InstanceId, Observer, Role, Status, TxId};

use crate::event::Event;
use crate::world::World;

impl<O: Observer> World<O> {
    pub(crate) fn start(&mut self, instance: u16) {
        if self.is_outside() {
            return self.start_outside(instance);
        }
        let index = usize::from(instance);
        let watch_locks = self.wants(Classes::LOCKS);
        let machine = &mut self.machines[index];
        if machine.instance.is_some() || machine.held > 0 {
            return;
        }
        let plan = &self.plan.instances[index];
        let members: Vec<InstanceId> = self.plan.instances.iter().map(|i| i.id).collect();
        let configuration = Configuration::new(plan.id, &members)
            .expect("a Plan's server ids are distinct and few");
        let mut settings = match machine.changed.last() {
            Some((_, settings)) => settings.clone(),
            None => self.settings[index].clone(),
        };
        if let Some((_, hosts)) = machine.hosts.last() {
            Arc::make_mut(&mut settings).cluster.initial_hosts = hosts.iter().collect();
        }
        machine.powered = true;
        machine.failure = None;
        let promises = core::mem::take(&mut machine.promises);
        let process = Instance::new(InstanceConfig {
            configuration,
            settings,
            slave_only: plan.slave_only,
            arbiter: plan.arbiter,
            // A machine counts its processes.
            address: if plan.new_address { machine.life as u16 } else { 0 },
            cache_policy: plan.cache_policy,
            frames: machine.frames(plan.page_cache),
            programs: self.programs.clone(),
            bugs: self.plan.bugs,
            watch_locks,
        });
        machine.instance = Some(process.with_promises(promises));
        self.input(instance, Input::Start);
    }

    /// Ends an instance's process in order. Nothing happens if it does not run.
    pub fn stop(&mut self, id: InstanceId) {
        if let Some(on) = self.index_of(id) {
            self.stop_process(on);
        }
    }

    /// Lets a process end in order: it leaves the cluster before, so that it is no member
    /// after that and no quorum counts it.
    pub(crate) fn stop_process(&mut self, on: u16) {
        if self.runs(usize::from(on)) {
            self.input(on, Input::Stop);
        }
    }

    /// A process ends and its machine lives on: that closes its connections, so everybody
    /// knows at once.
    pub(crate) fn process_exits(&mut self, on: u16) {
        if self.is_outside() {
            return self.exits_outside(on, true);
        }
        if self.machines[usize::from(on)].instance.is_none() {
            return;
        }
        let now = self.kernel.now();
        let cut_off = self.flights.at_instance(on);
        self.process_ends(on);
        for (flight, generation) in cut_off {
            self.send_answer(on, flight, generation, Status::ConnectionReset, TxId(0));
        }
        for peer in 0..self.machines.len() as u16 {
            if peer != on
                && let Some(at) = self.network.send(now, usize::from(on), usize::from(peer), 64)
            {
                self.kernel.schedule(at, Event::PeerLost { instance: peer, peer: on });
            }
        }
    }

    /// A process ends: killed, or by itself.
    pub(crate) fn process_ends(&mut self, instance: u16) {
        let index = usize::from(instance);
        let total = self.plan.total();
        let machine = &mut self.machines[index];
        let Some(process) = &machine.instance else { return };
        let fact = Fact::RoleChanged {
            instance: process.id(),
            from: process.role(),
            to: Role::Down,
            log: process.store().mark(),
        };
        let now = self.kernel.now();
        machine.kill(now, total);
        machine.disk.crash(now);
        self.work.retain(|(at, _)| *at != instance);
        self.tell(fact);
    }
}
