//! Linux's `st` in this process, as far as its nodes go: one opener, EBUSY for everybody else, and unit attentions that it takes at open.

use std::fs::{File, OpenOptions};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex};

use tapekey::gate::{HeldNode, MediumKnown, NodeError, TapeNode, TapeNodes};

/// Sends the drive what st sends when a node is opened, and takes the unit attentions that it meets.
pub(crate) type Settle = Box<dyn Fn() -> bool + Send + Sync>;

/// The nodes of one drive.
#[derive(Clone)]
pub(crate) struct Nodes {
    state: Arc<Mutex<State>>,
    settle: Arc<Settle>,
}

#[derive(Default)]
struct State {
    open: bool,
    loads: usize,
}

impl Nodes {
    /// Of a drive that `settle` speaks to; it answers whether a medium is ready.
    pub(crate) fn new(settle: Settle) -> Self {
        Self {
            state: Arc::default(),
            settle: Arc::new(settle),
        }
    }

    /// A program opens a node for writing; nothing if it gets EBUSY.
    pub(crate) fn program(&self, node: &FilePath) -> Option<Open> {
        let file = || OpenOptions::new().read(true).write(true).open(node).unwrap();
        self.open(file).ok()
    }

    /// How often st was told to load.
    pub(crate) fn loads(&self) -> usize {
        self.state.lock().unwrap().loads
    }

    fn open(&self, file: impl FnOnce() -> File) -> Result<Open, ()> {
        {
            let mut state = self.state.lock().unwrap();
            if state.open {
                return Err(());
            }
            state.open = true;
        }
        let ready = (self.settle)();
        Ok(Open {
            nodes: self.clone(),
            ready,
            file: Some(file()),
        })
    }
}

impl TapeNodes for Nodes {
    fn open(&self, node: &TapeNode) -> Result<Box<dyn HeldNode>, NodeError> {
        let path: PathBuf = node.held.path.clone();
        match self.open(|| File::open(&path).unwrap()) {
            Ok(open) => Ok(Box::new(open)),
            Err(()) => Err(NodeError::Busy { path: path.clone() }),
        }
    }
}

/// An open node; whoever has it keeps all others out.
pub(crate) struct Open {
    nodes: Nodes,
    ready: bool,
    file: Option<File>,
}

impl HeldNode for Open {
    fn medium(&self) -> Result<MediumKnown, NodeError> {
        Ok(if self.ready {
            MediumKnown::Ready
        } else {
            MediumKnown::NotReady
        })
    }

    fn load(&self) -> Result<(), NodeError> {
        self.nodes.state.lock().unwrap().loads += 1;
        (self.nodes.settle)();
        Ok(())
    }
}

impl Drop for Open {
    /// The kernel says that a file is closed before st lets the next one in.
    fn drop(&mut self) {
        self.file = None;
        self.nodes.state.lock().unwrap().open = false;
    }
}
