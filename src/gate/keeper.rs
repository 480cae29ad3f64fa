//! The descriptors by which one drive is held: one for each path to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::transport::st_node::{HeldNode, MediumKnown, NodeError, NodeName, TapeNode, TapeNodes};

/// Holds the tape nodes of one drive.
pub struct Keeper {
    nodes: Arc<dyn TapeNodes>,
    held: Vec<Held>,
    closes: Arc<AtomicU64>,
}

struct Held {
    name: NodeName,
    node: Box<dyn HeldNode>,
}

impl Keeper {
    /// A keeper that holds nothing yet. Each close of a node is counted in `closes` before it happens, so that it can be told from those of
    /// programs.
    #[must_use]
    pub fn new(nodes: Arc<dyn TapeNodes>, closes: Arc<AtomicU64>) -> Self {
        Self {
            nodes,
            held: Vec::new(),
            closes,
        }
    }

    /// Holds `wanted` and nothing else. A node that is held already stays so, without a moment in which others could open it.
    ///
    /// # Errors
    /// [`NodeError`] of the first node that cannot be opened; those opened by this call are closed again then.
    pub fn take(&mut self, wanted: &[TapeNode]) -> Result<(), NodeError> {
        let (stays, goes) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held: &Held| wanted.iter().any(|node| node.held == held.name) && held.node.medium().is_ok());
        self.held = stays;
        self.close(goes);
        let mut opened = Vec::new();
        for node in wanted {
            if self.held.iter().any(|held| held.name == node.held) {
                continue;
            }
            match self.nodes.open(node) {
                Ok(open) => opened.push(Held {
                    name: node.held.clone(),
                    node: open,
                }),
                Err(error) => {
                    self.close(opened);
                    return Err(error);
                }
            }
        }
        self.held.extend(opened);
        Ok(())
    }

    /// Closes what is held.
    pub fn let_go(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.close(held);
    }

    /// Has st look at a medium that was moved into the drive; `unless_known`: not if st knows of one that is ready. Blocks until it is
    /// ready.
    ///
    /// # Errors
    /// [`NodeError`], such as when there is nothing in the drive.
    pub fn tell(&mut self, unless_known: bool) -> Result<(), NodeError> {
        for held in &self.held {
            if !(unless_known && held.node.medium()? == MediumKnown::Ready) {
                held.node.load()?;
            }
        }
        Ok(())
    }

    fn close(&self, held: Vec<Held>) {
        for held in held {
            self.closes.fetch_add(1, Ordering::SeqCst);
            drop(held.node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A kernel that remembers what was done, and refuses nodes that a program has.
    #[derive(Clone, Default)]
    struct Kernel {
        done: Arc<Mutex<Vec<String>>>,
        busy: Arc<Mutex<Vec<u32>>>,
        gone: Arc<Mutex<Vec<u32>>>,
    }

    struct Open(Kernel, u32);

    impl Kernel {
        fn did(&self, what: String) {
            self.done.lock().unwrap().push(what);
        }

        fn done(&self) -> Vec<String> {
            std::mem::take(&mut *self.done.lock().unwrap())
        }
    }

    impl TapeNodes for Kernel {
        fn open(&self, node: &TapeNode) -> Result<Box<dyn HeldNode>, NodeError> {
            if self.busy.lock().unwrap().contains(&node.held.minor) {
                return Err(NodeError::Busy {
                    path: node.held.path.clone(),
                });
            }
            self.did(format!("open {}", node.held.minor));
            Ok(Box::new(Open(self.clone(), node.held.minor)))
        }
    }

    impl HeldNode for Open {
        fn medium(&self) -> Result<MediumKnown, NodeError> {
            let gone = self.0.gone.lock().unwrap().contains(&self.1);
            let error = NodeError::System {
                attempt: "ask the state of",
                path: "/dev/nst".into(),
                reason: "No such device or address".into(),
                hint: "none",
            };
            if gone { Err(error) } else { Ok(MediumKnown::Ready) }
        }

        fn load(&self) -> Result<(), NodeError> {
            self.0.did(format!("load {}", self.1));
            Ok(())
        }
    }

    impl Drop for Open {
        fn drop(&mut self) {
            self.0.did(format!("close {}", self.1));
        }
    }

    fn node(minor: u32) -> TapeNode {
        TapeNode {
            held: NodeName {
                path: format!("/dev/nst{minor}").into(),
                major: 9,
                minor,
            },
            others: Vec::new(),
        }
    }

    fn keeper() -> (Kernel, Keeper, Arc<AtomicU64>) {
        let (kernel, closes) = (Kernel::default(), Arc::new(AtomicU64::new(0)));
        let keeper = Keeper::new(Arc::new(kernel.clone()), closes.clone());
        (kernel, keeper, closes)
    }

    #[test]
    fn every_path_to_a_drive_is_held_or_none() {
        let (kernel, mut keeper, closes) = keeper();
        kernel.busy.lock().unwrap().push(2);
        assert!(matches!(keeper.take(&[node(1), node(2)]), Err(NodeError::Busy { .. })));
        assert_eq!(kernel.done(), ["open 1", "close 1"]);
        assert_eq!(closes.load(Ordering::SeqCst), 1);
        kernel.busy.lock().unwrap().clear();
        keeper.take(&[node(1), node(2)]).unwrap();
        keeper.let_go();
        assert_eq!(kernel.done(), ["open 1", "open 2", "close 1", "close 2"]);
        assert_eq!(closes.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_node_that_is_held_stays_so_while_another_comes_or_goes_and_one_that_is_dead_is_opened_anew() {
        let (kernel, mut keeper, _) = keeper();
        keeper.take(&[node(1)]).unwrap();
        keeper.take(&[node(1), node(2)]).unwrap();
        keeper.take(&[node(2)]).unwrap();
        assert_eq!(kernel.done(), ["open 1", "open 2", "close 1"]);
        kernel.gone.lock().unwrap().push(2);
        keeper.take(&[node(2)]).unwrap();
        assert_eq!(kernel.done(), ["close 2", "open 2"]);
    }

    #[test]
    fn a_medium_that_st_knows_is_not_loaded_again_unless_it_may_be_another_one() {
        let (kernel, mut keeper, _) = keeper();
        keeper.take(&[node(1)]).unwrap();
        keeper.tell(true).unwrap();
        assert_eq!(kernel.done(), ["open 1"]);
        keeper.tell(false).unwrap();
        assert_eq!(kernel.done(), ["load 1"]);
    }
}
