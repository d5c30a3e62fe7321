//! The files of a control plane: YAML, tokens, state. All in one folder that goes away at the end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A temporary folder with the YAML, the tokens and the state of a control plane.
pub struct Config {
    root: PathBuf,
}

/// `TOKEN,NS,SA,POD` for the pods of the world.
const TOKENS: &str = "\
# One line for each pod of the lab.
gateway-token,istio-system,istio-egressgateway-service-account,istio-egressgateway-0
checkout-token,shop,checkout,checkout-0
batch-token,lab,batch,batch-0
reports-token,shop,reports,reports-0
";

impl Config {
    pub(super) fn new(files: &[(&str, impl AsRef<str>)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let root = std::env::temp_dir().join(format!(
            "sluice-mesh-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let config = Self { root };
        for folder in [config.yaml(), config.state(), config.run()] {
            create(&folder);
        }
        // The sidecar's user must reach its own folder below.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&config.root, open).expect("the folder is ours");
        config.write("world.yaml", &world());
        for (name, text) in files {
            config.write(name, text.as_ref());
        }
        fs::write(config.tokens(), TOKENS).expect("the folder is writable");
        fs::set_permissions(config.tokens(), fs::Permissions::from_mode(0o600))
            .expect("the file is ours");
        config
    }

    /// Writes a YAML file as an editor does: beside it, then renamed over it.
    pub fn write(&self, name: &str, text: &str) {
        let beside = self.root.join("beside");
        fs::write(&beside, text).expect("the folder is writable");
        fs::rename(&beside, self.yaml().join(name)).expect("the folder is writable");
    }

    /// Removes a YAML file.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.yaml().join(name)).expect("the file is there");
    }

    /// The folder of YAML.
    pub fn yaml(&self) -> PathBuf {
        self.root.join("yaml")
    }

    /// The control plane's state.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(super) fn tokens(&self) -> PathBuf {
        self.root.join("tokens")
    }

    /// A folder for the files of running proxies.
    pub(super) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The token of a pod.
    pub fn token(pod: &str) -> &'static str {
        let of_pod = |line: &&str| line.rsplit(',').next() == Some(pod);
        let line = TOKENS
            .lines()
            .find(of_pod)
            .unwrap_or_else(|| panic!("pod {pod} has no token"));
        line.split(',').next().unwrap_or_default()
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The cluster around the examples.
pub fn world() -> String {
    read("world.yaml")
}

/// A file of the examples, `egress-gateway-http/api.yaml`.
pub fn example(path: &str) -> String {
    read(path)
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(path);
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn create(folder: &Path) {
    fs::create_dir_all(folder)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
}
