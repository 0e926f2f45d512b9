//! A user who changes the topology all the time, and remembers every change that was acknowledged.
//!
//! # Tenants
//! What is changed are tenants: a network and two interfaces that are made, changed and deleted together, each time in one
//! commit. All three carry the number of their version, so that a commit that was done by half shows.
//!
//! # What nobody knows
//! A request whose answer was lost is sent again until one comes. So at any time at most one change of a tenant may or
//! may not have been made.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lab::{Result, wait_until};
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::common::PATIENCE;

/// Time between two changes: what a busy user does, and leaves a small machine something for packets.
const PACE: Duration = Duration::from_millis(10);

/// Changes of a tenant before it is deleted and made anew.
const LIFETIME: u32 = 5;

/// A version of a tenant; `None` while it is deleted.
type Version = Option<u32>;

/// What was done to a tenant.
#[derive(Debug, Clone)]
struct Tenant {
    number: u8,
    acknowledged: Version,
    /// A change that was asked for, and not answered.
    unanswered: Option<Version>,
    changes: u32,
}

/// What was done to all tenants of a writer.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    tenants: Vec<Tenant>,
    next: usize,
    /// Changes that were acknowledged.
    pub(crate) acknowledged: u64,
    /// An answer that cannot be.
    wrong: Option<String>,
}

/// A user at work. Dropping it ends the work.
#[derive(Debug)]
pub(crate) struct Writer {
    api: Api,
    book: Arc<Mutex<Book>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts to change the tenants of these numbers.
    pub(crate) fn start(api: &Api, numbers: impl IntoIterator<Item = u8>) -> Self {
        let tenant = |number| Tenant { number, acknowledged: None, unanswered: None, changes: 0 };
        let tenants = numbers.into_iter().map(tenant).collect();
        let book = Arc::new(Mutex::new(Book { tenants, next: 0, acknowledged: 0, wrong: None }));
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn({
            let (api, book) = (api.clone(), Arc::clone(&book));
            move || {
                while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                    lock(&book).write(&api);
                }
            }
        });
        Self { api: api.clone(), book, stop: Some(stop), thread: Some(thread) }
    }

    /// The book, to which nothing is added while the caller has it.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// Waits until so many more changes are acknowledged.
    pub(crate) fn wait_for_more(&self, count: u64) -> Result<()> {
        let goal = self.book().acknowledged + count;
        wait_until(format!("{goal} changes"), PATIENCE, || match &*self.book() {
            book if book.acknowledged >= goal => Ok(()),
            book => Err(format!("{book:?}")),
        })
    }

    /// Expects that everything that was acknowledged is there, and nothing by half.
    pub(crate) fn check(&self) -> Result<()> {
        self.book().check(&self.api)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has left the book as it was, which is looked at by those who care.
            let _ = thread.join();
        }
    }
}

impl Book {
    /// Asks for one change.
    fn write(&mut self, api: &Api) {
        let count = self.tenants.len();
        let Some(tenant) = self.tenants.get_mut(self.next) else { return };
        let (wanted, again) = match tenant.unanswered {
            Some(wanted) => (wanted, true),
            None => (tenant.wish(), false),
        };
        match api.batch(&tenant.operations(wanted)) {
            Answer::Unknown => {
                tenant.unanswered = Some(wanted);
                return;
            }
            // It was made the time before: there is already what is to be made, or no longer what is to be deleted.
            Answer::Done | Answer::Refused(404 | 409, _) if again => {}
            Answer::Done => {}
            Answer::Refused(status, body) => {
                self.wrong.get_or_insert(format!("{tenant:?} to {wanted:?}: {status} {body}"));
                return;
            }
        }
        (tenant.acknowledged, tenant.unanswered) = (wanted, None);
        tenant.changes += 1;
        self.acknowledged += 1;
        self.next = (self.next + 1) % count;
    }

    /// Whether a change is asked for again and again.
    pub(crate) fn is_stuck(&self) -> bool {
        self.tenants.iter().any(|tenant| tenant.unanswered.is_some())
    }

    /// Forgets what was done since: it is lost with the store. Changes go on being counted.
    pub(crate) fn go_back_to(&mut self, older: Self) {
        let acknowledged = self.acknowledged;
        *self = Self { acknowledged, ..older };
    }

    /// As [`Writer::check`].
    pub(crate) fn check(&self, api: &Api) -> Result<()> {
        assert_eq!(self.wrong, None);
        let mut shown = api.names("networks")?;
        shown.append(&mut api.names("interfaces")?);
        let checked: Result<(), String> = self.tenants.iter().try_for_each(|tenant| tenant.check(&shown));
        assert_eq!(checked, Ok(()));
        Ok(())
    }
}

impl Tenant {
    fn wish(&self) -> Version {
        let is_over = self.changes % (LIFETIME + 1) == LIFETIME;
        (!is_over).then_some(self.changes)
    }

    fn network(&self) -> String {
        format!("nw-tenant{}", self.number)
    }

    fn interfaces(&self) -> [String; 2] {
        interfaces_of(self.number)
    }

    /// What has to be done for a version.
    fn operations(&self, wanted: Version) -> Vec<Value> {
        let (network, [one, two]) = (self.network(), self.interfaces());
        let Some(version) = wanted else {
            let delete = |resource: &str, id: &str| json!({"op": "delete", "resource": resource, "uuid": id});
            return vec![
                delete("interfaces", &one),
                delete("interfaces", &two),
                delete("networks", &network),
            ];
        };
        let name = version.to_string();
        // Never the address of the version before, so that flows change, too.
        let address = |n: u32| format!("10.77.{}.{}", self.number, 10 + (version % 50) * 4 + n);
        let update = |resource: &str, id: &str, attributes: Value| json!({"op": "update", "resource": resource, "uuid": id, "attributes": attributes});
        if self.acknowledged.is_some() {
            let moved = |n| json!({"display_name": name, "ipv4_address": address(n)});
            return vec![
                update("networks", &network, json!({"display_name": name})),
                update("interfaces", &one, moved(1)),
                update("interfaces", &two, moved(2)),
            ];
        }
        let create = |resource: &str, attributes: Value| json!({"op": "create", "resource": resource, "attributes": attributes});
        let interface = |id: &str, n: u32| {
            create(
                "interfaces",
                json!({"uuid": id, "network_uuid": network, "display_name": name,
                "mac_address": format!("02:00:00:77:{:02x}:{n:02x}", self.number), "ipv4_address": address(n)}),
            )
        };
        let prefix = format!("10.77.{}.0", self.number);
        let network = json!({"uuid": network, "display_name": name, "ipv4_network": prefix});
        vec![create("networks", network), interface(&one, 1), interface(&two, 2)]
    }

    /// That all of it is there in one version, which is the acknowledged one or the one after.
    fn check(&self, shown: &BTreeMap<String, String>) -> Result<(), String> {
        let objects = [self.network()].into_iter().chain(self.interfaces());
        let versions: Vec<_> = objects.map(|id| shown.get(&id).cloned()).collect();
        let may_be = [Some(self.acknowledged), self.unanswered].map(|version| version.map(names));
        if may_be.contains(&Some(versions.clone())) {
            Ok(())
        } else {
            Err(format!("{self:?} is {versions:?}"))
        }
    }
}

/// The display names of a tenant's objects in a version.
fn names(version: Version) -> Vec<Option<String>> {
    vec![version.map(|version| version.to_string()); 3]
}

/// The interfaces of a tenant, for ports to name.
pub(crate) fn interfaces_of(number: u8) -> [String; 2] {
    ["a", "b"].map(|which| format!("if-tenant{number}{which}"))
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn lost_and_half_done_changes_show() {
    let tenant = Tenant { number: 1, acknowledged: Some(4), unanswered: Some(None), changes: 5 };
    let ids = [tenant.network()].into_iter().chain(tenant.interfaces());
    let shown = |names: [Option<&str>; 3]| {
        let named = ids.clone().zip(names).filter_map(|(id, name)| Some((id, name?.to_owned())));
        tenant.check(&named.collect()).is_ok()
    };
    assert!(shown([Some("4"); 3]), "the acknowledged version");
    assert!(shown([None; 3]), "a change that was not answered and was made");
    assert!(!shown([Some("3"); 3]), "an older version");
    assert!(!shown([Some("4"), None, None]), "a change by half");
}
