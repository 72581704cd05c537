//! A small Plan.

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{Bytes, InstanceId, OperationKind, PlantedBugs, Rate, Ratio, Span};
use wavetank_world::{
    BalancerPlan, CachePolicy, ClientPlan, Compat, CostTable, Deployment, GraphModel, GraphPlan,
    GraphSource, InstancePlan, NetworkPlan, Plan, Popularity, Program, RetryPlan, Routing,
    Settings, VolumePlan,
};

/// Operations of the library, in their default patterns.
pub(crate) fn operations(names: &[&str]) -> Vec<Program> {
    let named = |name: &&str| {
        wavetank_scenario::OPERATIONS.iter().find(|known| known.program.name == **name)
    };
    names.iter().map(|name| named(name).expect("it is there").program.clone()).collect()
}

/// Three instances under a light load for so many seconds.
pub(crate) fn plan(seconds: u64, seed: u64) -> Plan {
    let mut settings = Settings::defaults(Compat::V2_3_6);
    settings.pull_interval = Span::from_millis(500);
    let millis =
        |median_us, sigma| Distribution::LogNormal { median: Span::from_micros(median_us), sigma };
    Plan {
        name: "test".into(),
        about: String::new(),
        seed,
        duration: Span::from_secs(seconds),
        warm_up: Span::from_secs(5),
        settings,
        instances: (1..=3)
            .map(|id| InstancePlan {
                id: InstanceId(id),
                datacentre: 0,
                slave_only: false,
                arbiter: false,
                new_address: false,
                machine: "test".into(),
                cores: 4,
                memory: Bytes::gib(30),
                heap: Bytes::gib(8),
                page_cache: Bytes::gib(11),
                cache_policy: CachePolicy::ClockSweep,
                volume: VolumePlan {
                    size: Bytes::gib(300),
                    iops: 3000,
                    throughput: Bytes::mib(125),
                    access: millis(600, 0.35),
                    sync: millis(1200, 0.45),
                },
                settings: None,
            })
            .collect(),
        datacentres: vec!["one".into()],
        network: NetworkPlan {
            local: millis(150, 0.25),
            bandwidth: Bytes(125_000_000),
            links: Vec::new(),
        },
        graph: GraphPlan {
            seed: 1,
            source: GraphSource::Social { users: 400, mean_follows: Ratio::new(22, 1) },
            model: GraphModel::MonolithicNode,
            properties: Vec::new(),
            unique: Vec::new(),
            // Those of the whole library: tests choose their operations later.
            names: wavetank_scenario::OPERATIONS
                .iter()
                .flat_map(|known| known.program.names.clone())
                .collect(),
        },
        balancers: vec![BalancerPlan {
            name: "front".into(),
            datacentre: 0,
            poll: Span::from_secs(2),
            rise: 2,
            fall: 3,
            credentials: true,
        }],
        operations: operations(&["home_stream", "profile", "follow", "status", "sign_up"]),
        clients: vec![ClientPlan {
            name: "app".into(),
            rate: Rate::per_second(100),
            users: None,
            deployment: Deployment::Extension,
            clock_ahead_ms: 0,
            mix: [(0, 60), (1, 20), (2, 8), (3, 10), (4, 2)]
                .map(|(kind, weight)| (OperationKind(kind), weight))
                .to_vec(),
            balancer: 0,
            routing: Routing::Split,
            recorded: None,
            popularity: Popularity::Zipf(Ratio::ZERO),
            auth_lookup: false,
            credentials: true,
            timeout: Span::from_secs(10),
            retry: RetryPlan {
                transient: true,
                connection: true,
                timeout: false,
                attempts: 5,
                backoff: Span::from_millis(100),
                factor: Ratio::new(2, 1),
                jitter: Ratio::new(1, 2),
                ..RetryPlan::NONE
            },
            skip: Vec::new(),
            only: None,
        }],
        faults: Vec::new(),
        expectations: Vec::new(),
        sample_every: Span::from_secs(1),
        monitor_every: Plan::MONITOR_EVERY,
        costs: CostTable::assumed(),
        bugs: PlantedBugs::NONE,
    }
}
