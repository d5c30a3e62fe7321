//! When to renew.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::{Duration, SystemTime},
};

/// In the middle of what is left, up to a tenth of it earlier: pods that started together do not
/// all come back together. `jitter` is of 1000. Never sooner than a second, whatever the clocks say.
pub(super) fn renewal(now: SystemTime, not_after: SystemTime, jitter: u32) -> SystemTime {
    let left = not_after.duration_since(now).unwrap_or_default();
    let early = left / 10_000 * jitter.min(1000);
    now + (left / 2).saturating_sub(early).max(Duration::from_secs(1))
}

/// A random number below 1000.
pub(super) fn jitter() -> u32 {
    // Each RandomState has keys of its own, seeded by the system.
    let random = RandomState::new().build_hasher().finish();
    u32::try_from(random % 1000).expect("below 1000")
}

/// Sleeps by the wall clock, which goes on while a machine is suspended and timers do not.
pub(super) async fn sleep_until(when: SystemTime) {
    while let Ok(left) = when.duration_since(SystemTime::now()) {
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(left.min(STEP)).await;
    }
}

const STEP: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn renewal_is_at_half_life_or_up_to_a_tenth_earlier() {
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(renewal(now, now + DAY, 0), now + DAY / 2);
        assert_eq!(renewal(now, now + DAY, 1000), now + DAY * 4 / 10);
        let some = renewal(now, now + DAY, jitter());
        assert!(some > now + DAY * 4 / 10 && some <= now + DAY / 2);
    }

    #[test]
    fn expired_certificate_is_renewed_after_a_second_not_in_a_loop() {
        let now = SystemTime::UNIX_EPOCH + DAY;
        assert_eq!(
            renewal(now, SystemTime::UNIX_EPOCH, 1000),
            now + Duration::from_secs(1)
        );
    }
}
