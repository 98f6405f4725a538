//! stub
#![allow(missing_docs)]
use crate::gate::{Standing, Unavailable};
use crate::time::{Instant, UnixSeconds};
use std::rc::Rc;
#[derive(Clone, Debug)]
pub struct User {
    pub id: Box<str>,
    pub name: Box<str>,
    pub password_hash: Option<Box<str>>,
    pub created_at: UnixSeconds,
    pub disabled: bool,
    pub tokens_valid_from: Option<UnixSeconds>,
}
impl User {
    pub fn standing(&self) -> Standing {
        Standing {
            disabled: self.disabled,
            tokens_valid_from: self.tokens_valid_from,
        }
    }
}
#[derive(Clone, Copy, Debug)]
pub struct StoreError;
pub struct Users;
impl Users {
    pub fn user(&mut self, _id: &str) -> Result<Option<Rc<User>>, StoreError> {
        Err(StoreError)
    }
    pub fn standing(&mut self, id: &str) -> Result<Option<Standing>, Unavailable> {
        self.user(id)
            .map(|u| u.map(|u| u.standing()))
            .map_err(|_| Unavailable)
    }
    pub fn revoke(&mut self, _id: &str, _f: UnixSeconds) -> Result<bool, StoreError> {
        Err(StoreError)
    }
    pub fn refresh(&mut self, _now: Instant) {}
    pub fn epoch(&self) -> u32 {
        0
    }
    pub fn is_available(&self) -> bool {
        true
    }
}
