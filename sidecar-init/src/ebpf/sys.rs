//! The few calls of bpf(2) that aya does not offer: links for every kind of hook, made, replaced,
//! pinned and asked about by the same code. All that is unsafe in loading is here.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// `enum bpf_cmd` of linux/bpf.h.
const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_LINK_UPDATE: libc::c_int = 29;

/// `union bpf_attr`: what is beyond the fields of a command must be zero, and may be longer than
/// the kernel knows.
#[repr(C, align(8))]
struct Attributes([u32; 32]);

/// What the kernel says of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkInfo {
    /// The program's id.
    pub(super) program: u32,
    /// The cgroup's id, or the interface's index in the low half; 0 once that is gone.
    target: u64,
}

impl LinkInfo {
    /// The cgroup of a cgroup's link; 0 once it is removed.
    pub(super) fn cgroup(self) -> u64 {
        self.target
    }

    /// The interface of a tcx link; 0 once it is removed.
    pub(super) fn interface(self) -> u32 {
        (self.target & u64::from(u32::MAX)) as u32
    }
}

/// Attaches `program` to a cgroup (by descriptor) or an interface (by index).
pub(super) fn link_create(
    program: BorrowedFd<'_>,
    target: u32,
    attach_type: u32,
) -> io::Result<OwnedFd> {
    let mut attributes = Attributes([0; 32]);
    attributes.0[0] = number(program);
    attributes.0[1] = target;
    attributes.0[2] = attach_type;
    descriptor(BPF_LINK_CREATE, &mut attributes)
}

/// Replaces the program of `link` in one step.
pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = Attributes([0; 32]);
    attributes.0[0] = number(link);
    attributes.0[1] = number(program);
    call(BPF_LINK_UPDATE, &mut attributes).map(drop)
}

/// Asks the kernel about `link`.
pub(super) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    // `struct bpf_link_info`: type, id, prog_id, a hole, then a union at byte 16.
    let mut info = [0u64; 32];
    let mut attributes = Attributes([0; 32]);
    attributes.0[0] = number(link);
    attributes.0[1] = size_of_val(&info) as u32;
    set_pointer(&mut attributes, 2, (&raw mut info).cast::<u8>());
    call(BPF_OBJ_GET_INFO_BY_FD, &mut attributes)?;
    let bytes = info[1].to_ne_bytes();
    Ok(LinkInfo {
        program: u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        target: info[2],
    })
}

/// Pins a link or map at `path` in a bpffs.
pub(super) fn pin(path: &Path, object: BorrowedFd<'_>) -> io::Result<()> {
    let name = c_string(path)?;
    let mut attributes = Attributes([0; 32]);
    set_pointer(&mut attributes, 0, name.as_ptr().cast());
    attributes.0[2] = number(object);
    call(BPF_OBJ_PIN, &mut attributes).map(drop)
}

/// Opens what is pinned at `path`.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let name = c_string(path)?;
    let mut attributes = Attributes([0; 32]);
    set_pointer(&mut attributes, 0, name.as_ptr().cast());
    descriptor(BPF_OBJ_GET, &mut attributes)
}

/// Whether the process may call bpf(2) at all: opens what cannot be there.
pub(crate) fn probe() -> io::Result<()> {
    match open_pin(Path::new("/proc/self/no-such-pin")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

fn number(descriptor: impl AsRawFd) -> u32 {
    u32::try_from(descriptor.as_raw_fd()).expect("an open descriptor is not negative")
}

fn set_pointer(attributes: &mut Attributes, at: usize, pointer: *const u8) {
    let bytes = (pointer as u64).to_ne_bytes();
    for (half, word) in bytes.chunks_exact(4).enumerate() {
        attributes.0[at + half] = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
    }
}

fn descriptor(command: libc::c_int, attributes: &mut Attributes) -> io::Result<OwnedFd> {
    let number = call(command, attributes)?;
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the command returned a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn call(command: libc::c_int, attributes: &mut Attributes) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads and writes `attributes` within the size given, and, through
    // pointers that the callers above put there, a NUL-terminated path or an info buffer of the
    // length that stands beside it; all of them outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            (&raw mut *attributes).cast::<libc::c_void>(),
            size_of::<Attributes>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_that_is_not_there_is_not_found() {
        let error = open_pin(Path::new("/proc/self/no-such-pin")).unwrap_err();
        assert!(matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
        ));
    }

    #[test]
    fn a_path_with_a_nul_is_refused_before_the_kernel_sees_it() {
        let path = Path::new("a\0b");
        assert_eq!(open_pin(path).unwrap_err().kind(), io::ErrorKind::Other);
    }
}
