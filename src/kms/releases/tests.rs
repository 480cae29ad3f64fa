//! A virtual month of releases.

use super::*;

fn at(hour: i64, second: i64) -> Timestamp {
    Timestamp::from_unix_timestamp(1_795_521_600 + hour * HOUR + second).unwrap()
}

fn release(subject: &str, volume: u64) -> Release {
    let kad = format!("kad {volume}");
    release_of(subject, "restore_keys", "done", (None, None, Some(&kad))).unwrap()
}

fn take(releases: &mut Releases, subject: &str, volumes: std::ops::Range<u64>, hour: i64) -> Vec<ReleaseAlarm> {
    let mut alarms = Vec::new();
    for volume in volumes {
        match releases.count(&release(subject, volume), at(hour, 5)) {
            Counted::Unusual(raised) => alarms.extend(raised),
            Counted::Usual => {}
            Counted::Stopped { limit } => panic!("stopped above {limit}"),
        }
    }
    alarms
}

#[test]
fn the_twenty_first_volume_of_an_hour_is_an_alarm_once_where_nothing_is_usual_yet() {
    let mut releases = Releases::new(ReleaseLimits::default());
    assert_eq!(take(&mut releases, "CN=a", 0..20, 0), []);
    let alarms = take(&mut releases, "CN=a", 0..40, 0);
    let told: Vec<_> = alarms
        .iter()
        .map(|alarm| (alarm.subject.as_deref(), alarm.volumes, alarm.usual_at_most))
        .collect();
    assert_eq!(told, [(None, 21, 20), (Some("CN=a"), 21, 20)]);
    assert_eq!(releases.alarms(at(1, 0)), alarms);
    assert_eq!(releases.alarms(at(25, 0)), []);
}

#[test]
fn the_same_volume_again_is_no_further_volume() {
    let mut releases = Releases::new(ReleaseLimits::default());
    for _ in 0..50 {
        assert_eq!(take(&mut releases, "CN=a", 0..20, 0), []);
    }
}

#[test]
fn four_times_the_busiest_hour_of_thirty_days_is_usual_and_one_more_is_not() {
    let mut releases = Releases::new(ReleaseLimits::default());
    assert_eq!(take(&mut releases, "CN=a", 0..15, 0), []);
    assert_eq!(take(&mut releases, "CN=a", 0..3, 10), []);
    assert_eq!(take(&mut releases, "CN=a", 0..60, 20), []);
    assert_eq!(take(&mut releases, "CN=a", 60..61, 20)[0].usual_at_most, 60);
    // The sixty-one were an alarm and make nothing usual; the fifteen count for thirty days, and then no more.
    assert_eq!(take(&mut releases, "CN=a", 0..60, HISTORY_HOURS), []);
    assert_eq!(take(&mut releases, "CN=b", 0..1, 2 * HISTORY_HOURS + 2), []);
    assert_eq!(take(&mut releases, "CN=a", 0..21, 2 * HISTORY_HOURS + 2).len(), 2);
}

#[test]
fn one_quiet_host_among_busy_ones_is_noticed() {
    let generous = ReleaseLimits {
        alarm_floor: 100,
        ..ReleaseLimits::default()
    };
    let mut releases = Releases::new(generous);
    for host in 0..5 {
        let taken = take(&mut releases, &format!("CN=busy-{host}"), host * 20..host * 20 + 19, 0);
        assert_eq!(taken, []);
    }
    releases.limits = ReleaseLimits::default();
    let alarms = take(&mut releases, "CN=quiet", 1000..1030, 1);
    assert_eq!(alarms.len(), 1, "the whole is as usual: {alarms:?}");
    assert_eq!(alarms[0].subject.as_deref(), Some("CN=quiet"));
}

#[test]
fn a_hard_stop_refuses_further_volumes_and_no_volume_again() {
    let mut releases = Releases::new(ReleaseLimits {
        stop_releases_above: Some(3),
        ..ReleaseLimits::default()
    });
    take(&mut releases, "CN=a", 0..3, 0);
    assert_eq!(
        releases.count(&release("CN=b", 9), at(0, 9)),
        Counted::Stopped { limit: 3 }
    );
    assert_eq!(take(&mut releases, "CN=a", 0..3, 0), []);
    assert_eq!(
        take(&mut releases, "CN=b", 9..10, 1),
        [],
        "the next hour begins at none"
    );
}

#[test]
fn what_was_learnt_late_counts_like_what_was_counted() {
    let limits = ReleaseLimits::default;
    let (mut earlier, mut releases) = (Releases::new(limits()), Releases::new(limits()));
    take(&mut earlier, "CN=a", 0..18, 0);
    take(&mut earlier, "CN=a", 0..10, 5);
    take(&mut releases, "CN=a", 10..15, 5);
    releases.learn(earlier);
    assert_eq!(take(&mut releases, "CN=a", 15..72, 5), []);
    assert_eq!(take(&mut releases, "CN=a", 72..73, 5).len(), 2);
}

#[test]
fn only_what_left_counts_and_a_restore_counts_by_its_kad() {
    let fields = |kad| (None, Some("A1"), Some(kad));
    let count = |outcome, kad| release_of("CN=a", "restore_keys", outcome, fields(kad));
    assert_eq!(count("refused: no", "kad 1"), None);
    assert_eq!(count("none: nothing", "kad 1"), None);
    assert_ne!(count("done", "kad 1"), count("done", "kad 2"));
    assert_eq!(count("done", "kad 1"), count("done: 2 candidates", "kad 1"));
    assert_eq!(release_of("CN=a", "create_key", "done", fields("kad 1")), None);
    let backup = |volume| release_of("CN=a", "backup_key", "done", (Some("k"), Some(volume), None));
    assert_ne!(backup("A1"), backup("A2"));
}
