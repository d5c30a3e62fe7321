//! A root of our own, made once and kept in the state directory.
//!
//! `ca-key.pem` (mode 0600) and `root-cert.pem`. Each file appears whole or not at all, by a hard link of a
//! finished file, which fails if the name is taken: of two processes that start together one wins each
//! name, and both go on with what is there. A certificate without its key is an error, never a reason to
//! make a new root: every proxy of the mesh would stop trusting us.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SerialNumber,
};

use super::{Authority, BACKDATE, CaError, cacerts::read_key, pem, random_serial};

const KEY: &str = "ca-key.pem";
const ROOT: &str = "root-cert.pem";

/// Ten years, as Istio's self-signed root.
const ROOT_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

impl Authority {
    /// Reads the root of `dir`, or makes one there for this trust domain.
    pub fn from_state_dir(
        dir: &Path,
        trust_domain: &str,
        now: SystemTime,
    ) -> Result<Self, CaError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(file_error(dir, "cannot be created"))?;
        let key_path = dir.join(KEY);
        let root_path = dir.join(ROOT);

        // Asked in this order: whoever starts beside us places the key first.
        let has_root = root_path.exists();
        if !key_path.exists() {
            if has_root {
                return Err(CaError::Content {
                    path: root_path,
                    problem: format!(
                        "its key {KEY} is missing; restore the key, or delete the certificate \
                         to start a new root that every proxy must then be given"
                    ),
                });
            }
            let key = KeyPair::generate()?.serialize_pem();
            place(dir, KEY, key.as_bytes(), 0o600)?;
        }
        refuse_open_key(&key_path)?;
        let key = read_key(&key_path)?;

        if !root_path.exists() {
            let root = root_params(trust_domain, now)?.self_signed(&key)?;
            place(dir, ROOT, pem::encode(root.der()).as_bytes(), 0o644)?;
        }
        let roots = pem::read_certificates(&root_path)?;
        let root = roots[0].clone();
        Self::new(dir, key, &root, Vec::new(), roots, now)
    }
}

fn root_params(trust_domain: &str, now: SystemTime) -> Result<CertificateParams, CaError> {
    let mut serial = random_serial()?;
    serial[0] = serial[0] & 0x7f | 0x40;
    // Every root has a name of its own: who trusts another is told of an unknown issuer, not of a bad
    // signature, and two roots can stand in one bundle.
    let name = format!("Sluice root {:08x}", u128::from_be_bytes(serial) >> 96);

    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, trust_domain);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + ROOT_LIFETIME).into();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.serial_number = Some(SerialNumber::from(serial.to_vec()));
    Ok(params)
}

/// Puts a whole file at `name`, unless somebody else did so first.
fn place(dir: &Path, name: &str, content: &[u8], mode: u32) -> Result<(), CaError> {
    let unique = u128::from_be_bytes(random_serial()?);
    let draft = dir.join(format!(".{name}.{unique:032x}"));
    let target = dir.join(name);
    let placed =
        write_whole(&draft, content, mode).and_then(|()| match fs::hard_link(&draft, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
    // The draft is a second name of the file, or a failed attempt: either way it has served.
    let removed = fs::remove_file(&draft);
    placed
        .and(removed)
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(file_error(&target, "cannot be written"))
}

fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn refuse_open_key(path: &Path) -> Result<(), CaError> {
    let metadata = fs::metadata(path).map_err(file_error(path, "cannot be read"))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(CaError::Content {
        path: path.to_owned(),
        problem: format!(
            "mode {mode:04o} lets others read the CA's key; run `chmod 600 {}`, \
             and replace the key if others may have read it",
            path.display()
        ),
    })
}

fn file_error(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> CaError {
    let path = path.to_owned();
    move |cause| CaError::File { path, doing, cause }
}
