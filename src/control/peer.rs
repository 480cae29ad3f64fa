//! Who is on the other end of the control socket, as the kernel says, and whether the daemon listens to them.

use std::ffi::CString;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, Uid, User, getgrouplist};

/// The process at the other end, when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process id.
    pub pid: i32,
}

impl Peer {
    /// Asks the kernel (`SO_PEERCRED`).
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn of(stream: &impl AsFd) -> nix::Result<Self> {
        let credentials = getsockopt(stream, PeerCredentials)?;
        Ok(Self {
            uid: credentials.uid(),
            gid: credentials.gid(),
            pid: credentials.pid(),
        })
    }

    /// Whether this is root, `own_uid`, or a member of `group`.
    #[must_use]
    pub fn may_command(self, own_uid: u32, group: Option<u32>) -> bool {
        self.uid == 0 || self.uid == own_uid || group.is_some_and(|group| self.gid == group || self.is_member(group))
    }

    fn is_member(self, group: u32) -> bool {
        // Whoever cannot be looked up is no member.
        let Ok(Some(user)) = User::from_uid(Uid::from_raw(self.uid)) else {
            return false;
        };
        let Ok(name) = CString::new(user.name) else {
            return false;
        };
        getgrouplist(&name, user.gid).is_ok_and(|groups| groups.contains(&Gid::from_raw(group)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listens_to_root_itself_and_the_group_and_to_nobody_else() {
        let stranger = Peer {
            uid: 4_000_001,
            gid: 4_000_001,
            pid: 1,
        };
        assert!(Peer { uid: 0, gid: 0, pid: 1 }.may_command(7, None));
        assert!(Peer { uid: 7, gid: 9, pid: 1 }.may_command(7, None));
        assert!(
            Peer {
                uid: 4_000_001,
                gid: 9,
                pid: 1
            }
            .may_command(7, Some(9))
        );
        assert!(!stranger.may_command(7, None));
        assert!(
            !stranger.may_command(7, Some(9)),
            "an unknown user is a member of nothing"
        );
    }

    #[test]
    fn the_kernel_says_who_called() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let own = nix::unistd::geteuid().as_raw();
        assert_eq!(Peer::of(&one).unwrap().uid, own);
    }
}
