//! The table of routes: what is registered for serving is written down in the same step, so that document and tests can be held against it.
//!
//! A handler is taken only if its last argument is a [`Permitted`], or a [`Stranger`]: no route can read a body before it knows who asks, or
//! that it may be anybody.

use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};

use super::Front;
use crate::kms::auth::{Holder, Permitted, Stranger};
use crate::kms_api::Role;

/// One thing that can be asked of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredRoute {
    /// The method.
    pub method: Method,
    /// The address, names in braces.
    pub path: String,
    /// Who may ask; nobody stands for everybody, certificate or not.
    pub roles: &'static [Role],
}

/// What a handler's arguments say about who may call it.
pub(super) trait Guarded {
    const ROLES: &'static [Role];
}

impl<M, H: Holder, N, P> Guarded for (M, State<Front>, Permitted<H, N, P>) {
    const ROLES: &'static [Role] = H::ROLES;
}

/// Nobody's role counts where strangers may ask.
impl<M, P> Guarded for (M, State<Front>, Stranger<P>) {
    const ROLES: &'static [Role] = &[];
}

/// Routes, while they are being declared.
pub(super) struct Routes {
    pub(super) router: Router<Front>,
    pub(super) declared: Vec<DeclaredRoute>,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self {
            router: Router::new(),
            declared: Vec::new(),
        }
    }

    /// What is read at `path`.
    pub(super) fn get<T: Guarded + 'static>(self, path: &str, handler: impl Handler<T, Front>) -> Self {
        self.add(Method::GET, MethodFilter::GET, path, handler)
    }

    /// What is done at `path`.
    pub(super) fn post<T: Guarded + 'static>(self, path: &str, handler: impl Handler<T, Front>) -> Self {
        self.add(Method::POST, MethodFilter::POST, path, handler)
    }

    fn add<T: Guarded + 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        handler: impl Handler<T, Front>,
    ) -> Self {
        self.declared.push(DeclaredRoute {
            method,
            path: path.to_owned(),
            roles: T::ROLES,
        });
        self.router = self.router.route(path, on(filter, handler));
        self
    }
}
