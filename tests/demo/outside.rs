//! The world outside the cluster: servers with their own certificate authorities.

use sluice_tests::mesh::{Mesh, example};
use sluice_tests::pki::Authority;
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::HttpServer;
use sluice_tests::servers::tcp::{Script, TcpServer};
use sluice_tests::tls::ClientCertificates;

/// The YAML of the demo, with certificates made for this run.
pub(crate) struct Files {
    partner: Authority,
    bank: Authority,
}

/// The servers outside.
pub(crate) struct Outside {
    /// Who certifies `files.partner.example`; apps trust it.
    pub(crate) partner: Authority,
    pub(crate) api: HttpServer,
    pub(crate) files: HttpServer,
    pub(crate) pay: HttpServer,
    pub(crate) ledger: HttpServer,
    pub(crate) sftp: TcpServer,
    pub(crate) evil: HttpServer,
}

impl Files {
    pub(crate) fn new() -> Self {
        Self {
            partner: Authority::new("Partner CA"),
            bank: Authority::new("Bank CA"),
        }
    }

    /// The examples of Istio's egress tasks, with this run's secrets: name and text.
    pub(crate) fn yaml(&self) -> Vec<(&'static str, String)> {
        let client = self.bank.client("shop.client.example", &[]);
        let bank = self.bank.cert_pem();
        let credential = [
            ("tls.crt", &*client.cert_pem),
            ("tls.key", &*client.key_pem),
            ("ca.crt", bank),
        ];
        vec![
            ("api.yaml", example("egress-gateway-http/api.yaml")),
            (
                "files.yaml",
                example("egress-gateway-https-passthrough/files.yaml"),
            ),
            (
                "pay.yaml",
                example("egress-gateway-tls-origination/pay.yaml"),
            ),
            (
                "ledger.yaml",
                example("egress-gateway-mutual-tls-origination/ledger.yaml"),
            ),
            ("ssh.yaml", example("tcp-by-address/ssh.yaml")),
            ("bank-ca.yaml", secret("bank-ca", &[("ca.crt", bank)])),
            (
                "client-credential.yaml",
                secret("client-credential", &credential),
            ),
        ]
    }
}

impl Outside {
    pub(crate) fn start(mesh: &Mesh, files: Files) -> Self {
        let Files { partner, bank } = files;
        let sftp = mesh.external("sftp", "198.51.100.40", &["sftp.partner.example"]);
        let asked = ClientCertificates::Required(&bank);
        Self {
            api: mesh.external_http("api", "198.51.100.10", &["api.partner.example"]),
            files: mesh.external_https(
                "files",
                "198.51.100.20",
                &["files.partner.example"],
                &partner,
                ClientCertificates::Ignored,
            ),
            pay: mesh.external_https(
                "pay",
                "198.51.100.30",
                &["pay.bank.example"],
                &bank,
                ClientCertificates::Ignored,
            ),
            ledger: mesh.external_https(
                "ledger",
                "198.51.100.31",
                &["ledger.bank.example"],
                &bank,
                asked,
            ),
            sftp: TcpServer::start(
                &sftp,
                (sftp.v4(), 22).into(),
                Transport::Plain,
                Script::Echo,
            ),
            evil: mesh.external_http("evil", "198.51.100.99", &["evil.example"]),
            partner,
        }
    }
}

fn secret(name: &str, entries: &[(&str, &str)]) -> String {
    let data: String = entries
        .iter()
        .map(|(key, text)| {
            let lines: String = text.lines().map(|line| format!("    {line}\n")).collect();
            format!("  {key}: |\n{lines}")
        })
        .collect();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: istio-system}}\nstringData:\n{data}"
    )
}
