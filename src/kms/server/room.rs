//! How many connections there may be: in all, of one name, whichever certificates it has, and of clients that nobody knows yet.
//!
//! A client is unknown until its handshake is over, and anybody can be one. So unknown ones have no claim to their place: when a new one
//! comes and there is no room, the oldest goes. An honest handshake takes milliseconds; whoever stays longest is slow on purpose.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::kms::config::Limits;

/// Unknown clients at a time.
const ARRIVING_MAX: usize = 256;

/// All places.
#[derive(Debug)]
pub(super) struct Room {
    limits: Limits,
    arriving: Mutex<Arriving>,
    seated: Mutex<Seated>,
}

#[derive(Debug, Default)]
struct Arriving {
    next: u64,
    /// By number, which grows: the oldest first.
    places: VecDeque<(u64, oneshot::Sender<()>)>,
}

#[derive(Debug, Default)]
struct Seated {
    all: u32,
    of_subject: HashMap<String, u32>,
}

/// The place of an unknown client; free again when dropped.
pub(super) struct Arrival {
    room: Arc<Room>,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

/// The place of a client with a certificate; free again when dropped.
pub(super) struct Seat {
    room: Arc<Room>,
    subject: String,
}

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSeat {
    /// For nobody.
    Full,
    /// For this client, which has so many.
    Crowded(u32),
}

impl Room {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            arriving: Mutex::default(),
            seated: Mutex::default(),
        })
    }

    /// A place for a client that nobody knows yet, if need be that of the oldest such.
    pub(super) fn arrive(self: &Arc<Self>) -> Arrival {
        let (evict, evicted) = oneshot::channel();
        let mut arriving = lock(&self.arriving);
        let number = arriving.next;
        arriving.next += 1;
        if arriving.places.len() >= ARRIVING_MAX {
            // Dropping the sender tells it.
            arriving.places.pop_front();
        }
        arriving.places.push_back((number, evict));
        Arrival {
            room: self.clone(),
            number,
            evicted,
        }
    }

    /// A place for a client with a certificate of that name.
    pub(super) fn seat(self: &Arc<Self>, subject: &str) -> Result<Seat, NoSeat> {
        let mut seated = lock(&self.seated);
        if seated.all >= u32::from(self.limits.connections_max.get()) {
            return Err(NoSeat::Full);
        }
        let limit = u32::from(self.limits.connections_per_client.get());
        let own = seated.of_subject.entry(subject.to_owned()).or_default();
        if *own >= limit {
            return Err(NoSeat::Crowded(limit));
        }
        *own += 1;
        seated.all += 1;
        Ok(Seat {
            room: self.clone(),
            subject: subject.to_owned(),
        })
    }
}

impl Arrival {
    /// Ready once the place was given to somebody else.
    pub(super) async fn evicted(&mut self) {
        // Nothing is ever sent: the other end is dropped.
        let _ = (&mut self.evicted).await;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut arriving = lock(&self.room.arriving);
        if let Ok(index) = arriving
            .places
            .binary_search_by_key(&self.number, |(number, _)| *number)
        {
            arriving.places.remove(index);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seated = lock(&self.room.seated);
        seated.all = seated.all.saturating_sub(1);
        if let Some(own) = seated.of_subject.get_mut(&self.subject) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                seated.of_subject.remove(&self.subject);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds a lock here can panic halfway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(per_client: u16, all: u16) -> Arc<Room> {
        Room::new(Limits {
            connections_per_client: per_client.try_into().unwrap(),
            connections_max: all.try_into().unwrap(),
            ..Limits::default()
        })
    }

    #[test]
    fn one_client_cannot_take_every_place_and_leaves_its_own_again() {
        let room = room(2, 3);
        let (first, _second) = (room.seat("a").ok().unwrap(), room.seat("a").ok().unwrap());
        assert_eq!(room.seat("a").err(), Some(NoSeat::Crowded(2)));
        let third = room.seat("b").ok().unwrap();
        assert_eq!(room.seat("c").err(), Some(NoSeat::Full));
        drop((first, third));
        assert!(room.seat("c").is_ok() && room.seat("a").is_ok());
        assert_eq!(lock(&room.seated).of_subject.len(), 1, "who is gone takes no room");
    }

    #[tokio::test]
    async fn the_oldest_unknown_client_makes_room_for_a_new_one() {
        let room = room(1, 1);
        let mut arrivals: VecDeque<_> = (0..ARRIVING_MAX).map(|_| room.arrive()).collect();
        let _one_more = room.arrive();
        arrivals.pop_front().unwrap().evicted().await;
        assert_eq!(lock(&room.arriving).places.len(), ARRIVING_MAX);
        let mut second = arrivals.pop_front().unwrap();
        drop(arrivals);
        let _another = room.arrive();
        assert!(
            second
                .evicted
                .try_recv()
                .is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
        );
    }
}
