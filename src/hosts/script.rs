//! Programs of the operator, run as rtsold(8) runs them: the interface and the router are their
//! arguments.

use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::core::client::{PublicationReport, Published, Script};
use crate::programs::command::{self, Failure, Manner};

/// How long a script may take. One that starts a lasting program has to leave that behind.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// Runs scripts, one at a time, the newest of those that wait. A script that fails is not repeated:
/// it may have done a part of its work.
pub(super) async fn run_all(
    mut scripts: watch::Receiver<Script>,
    reports: mpsc::Sender<PublicationReport>,
) {
    let mut is_wrong = false;
    loop {
        let script = scripts.borrow_and_update().clone();
        let trouble = run(&script).await.err();
        if is_wrong || trouble.is_some() {
            is_wrong = trouble.is_some();
            let published = Published::Script(script.occasion);
            let interface = script.interface.clone();
            // The receiver is gone when the agent ends.
            let _ = reports.send(PublicationReport { interface, published, trouble }).await;
        }
        if scripts.changed().await.is_err() {
            return;
        }
    }
}

async fn run(script: &Script) -> Result<(), String> {
    let (program, router) = (Path::new(&script.program), script.router.to_string());
    let manner = Manner { input: "", detached: true };
    let arguments = [script.interface.as_str(), &router];
    let ran = command::run_as(program, &arguments, manner, LIMIT).await;
    ran.map(drop).map_err(|failure| {
        let remedy = match failure {
            Failure::Start(_) => "name an executable file that the agent may run",
            Failure::Slow(_) => "what is to go on behind it has to be started in the background",
            Failure::Status(..) => "see what it prints when it is run by hand",
        };
        format!("{} {} {router}: {failure}: {remedy}", script.program, script.interface)
    })
}
