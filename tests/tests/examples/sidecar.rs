//! The sidecar's configuration is constant, however many objects exist.

use super::sluice::{GATEWAY, SIDECAR, sluice_reading};

fn service_entries(count: usize) -> String {
    let entry = |number: usize| {
        format!(
            "---\n\
             apiVersion: networking.istio.io/v1\n\
             kind: ServiceEntry\n\
             metadata: {{name: host-{number}, namespace: shop}}\n\
             spec:\n  \
               hosts: [host-{number}.partner.example]\n  \
               ports: [{{number: 443, name: tls, protocol: TLS}}]\n  \
               resolution: DNS\n"
        )
    };
    (0..count).map(entry).collect()
}

fn translated(proxy: &str, objects: &str) -> String {
    let files = ["-f", "world.yaml", "-f", "-"];
    sluice_reading(
        objects,
        &[&["translate", "--proxy", proxy], &files[..]].concat(),
    )
    .done()
}

#[test]
fn a_sidecar_s_config_is_the_same_with_10_and_with_10_000_service_entries() {
    let (few, many) = (service_entries(10), service_entries(10_000));
    assert!(
        translated(GATEWAY, &few).contains("host-9.partner.example"),
        "the objects count at the gateway"
    );

    assert_eq!(translated(SIDECAR, &few), translated(SIDECAR, &many));
}
