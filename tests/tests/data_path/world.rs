//! Pods with sidecars, a gateway, a partner.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use sluice_plan::proxy::ProxyPlan;
use sluice_tests::{
    envoy,
    net::{Lab, Machine, Process, ranges},
    pki::{Authority, Identity},
};
use sluice_translate::{print::Redaction, static_bootstrap};

use crate::plans;

pub(crate) const PARTNER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(crate) const PARTNER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, 1);

/// The pods.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Client {
    Checkout,
    /// Another pod of the same class.
    CheckoutToo,
    Reports,
    /// Has a class that the gateway does not know.
    Stranger,
    /// Has no class in its certificate, as Istio's proxies.
    Classless,
}

impl Client {
    const ALL: [Self; 5] = [
        Self::Checkout,
        Self::CheckoutToo,
        Self::Reports,
        Self::Stranger,
        Self::Classless,
    ];

    fn account(self) -> &'static str {
        match self {
            Self::Checkout | Self::CheckoutToo => "checkout",
            Self::Reports => "reports",
            Self::Stranger => "stranger",
            Self::Classless => "classless",
        }
    }

    fn identity(self, authority: &Authority) -> Identity {
        let account = self.account();
        let pod = match self {
            Self::CheckoutToo => "checkout-1".to_owned(),
            _ => format!("{account}-0"),
        };
        let class = plans::class(account).dns_name();
        let pod = format!("{pod}.shop.pod.sluice.internal");
        let uid = "5f0c1a34-6f0e-4e43-9d0e-0d3a4c6f5b11.uid.sluice.internal";
        let names = [class.as_str(), pod.as_str(), uid];
        let names = match self {
            Self::Classless => &names[1..],
            _ => &names[..],
        };
        authority.workload(
            &format!("spiffe://cluster.local/ns/shop/sa/{account}"),
            names,
        )
    }
}

/// All of them, running.
pub(crate) struct World {
    sidecars: Vec<(Client, Machine, std::cell::OnceCell<Process>)>,
    gateway: Process,
    pub(crate) partner: Machine,
    pub(crate) authority: Authority,
    mesh: Authority,
    // Last: what runs on it goes first.
    _lab: Lab,
}

impl World {
    pub(crate) fn start() -> Self {
        let lab = Lab::new();
        let mesh = Authority::new("mesh");
        let authority = Authority::new("world");
        let partner = lab
            .machine("partner")
            .address("198.51.100.1/24")
            .address("2001:db8:51::1/64")
            .start();
        let machine = lab
            .machine("gateway")
            .address("10.244.9.1/24")
            .address("203.0.113.10/24")
            .address("203.0.113.11/24")
            .address("2001:db8:113::10/64")
            .start();
        let identity = mesh.workload(
            "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway",
            &["gateway-0.istio-system.pod.sluice.internal"],
        );
        let gateway = run(&machine, &mesh, &identity, plans::gateway(&authority));
        let sidecars = Client::ALL
            .iter()
            .zip(10..)
            .map(|(client, host)| {
                let machine = lab
                    .machine(&format!("app-{host}"))
                    .address(&format!("10.244.1.{host}/24"))
                    .address(&format!("fd00:10:244:1::{host}/64"))
                    .start();
                machine.capture(&ranges::capture());
                (*client, machine, std::cell::OnceCell::new())
            })
            .collect();
        Self {
            sidecars,
            gateway,
            partner,
            authority,
            mesh,
            _lab: lab,
        }
    }

    /// The machine of the client, its sidecar running.
    pub(crate) fn app(&self, client: Client) -> Machine {
        self.sidecar(client);
        self.entry(client).1.clone()
    }

    /// The sidecar of the client.
    pub(crate) fn sidecar(&self, client: Client) -> &Process {
        let (_, machine, sidecar) = self.entry(client);
        sidecar.get_or_init(|| {
            let identity = client.identity(&self.mesh);
            run(machine, &self.mesh, &identity, plans::sidecar())
        })
    }

    fn entry(&self, client: Client) -> &(Client, Machine, std::cell::OnceCell<Process>) {
        self.sidecars
            .iter()
            .find(|(one, ..)| *one == client)
            .unwrap()
    }

    /// The gateway's log lines so far, once no more come.
    pub(crate) fn lines(&self) -> Vec<String> {
        // Envoy flushes every 50 ms; connections end within a moment.
        let mut lines = self.gateway.lines();
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.gateway.lines();
            if now.len() == lines.len() {
                lines.retain(|line| line.contains(" peer="));
                return lines;
            }
            lines = now;
        }
    }

    /// The gateway's log line with this in it, the only one that it wrote for that connection.
    #[track_caller]
    pub(crate) fn only_line(&self, needle: &str) -> String {
        self.gateway.wait_for(needle, Duration::from_secs(10));
        let lines: Vec<String> = self.lines();
        let found: Vec<&String> = lines.iter().filter(|line| line.contains(needle)).collect();
        assert_eq!(found.len(), 1, "{needle}: {lines:#?}");
        found[0].clone()
    }
}

/// The value of `key=` in a log line.
#[track_caller]
pub(crate) fn field<'a>(line: &'a str, key: &str) -> &'a str {
    line.split(' ')
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("{key} is not in {line}"))
}

fn run(machine: &Machine, mesh: &Authority, identity: &Identity, mut plan: ProxyPlan) -> Process {
    for secret in plans::workload_secrets(mesh, identity) {
        plan.add_secret(secret);
    }
    let bootstrap = static_bootstrap(&plan, machine.name(), Redaction::Show).unwrap();
    envoy::start(
        machine,
        &bootstrap.to_string(),
        &[
            "--file-flush-interval-msec",
            "50",
            "--reject-unknown-dynamic-fields",
        ],
    )
}
