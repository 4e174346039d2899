//! The iPXE script of a client: an image, a menu, its own disk, or why there is nothing.

use std::net::SocketAddrV4;

use boot::{Drivers, Plan, script};
use model::{BootChoice, MacAddr, Stage};

use super::answer::Answer;
use super::request::{Method, Request};
use super::routes::Routes;
use crate::boots::Asked;

impl Routes<'_> {
    pub(super) fn script(
        &self,
        client: MacAddr,
        peer: SocketAddrV4,
        local: SocketAddrV4,
        request: &Request,
    ) -> Answer {
        let asked = Asked {
            daemon: self.daemon,
            client,
            peer: *peer.ip(),
            http: local,
        };
        if let Some(error) = request.query_value("failed") {
            asked.loader_failed(&format!(
                "iPXE could not load kernel or initrd: error {error}"
            ));
        }
        let picked: Option<BootChoice> = match request.query_value("pick") {
            None => None,
            Some(text) => match text.parse() {
                Ok(choice) => Some(choice),
                Err(_) => return Answer::text(400, "this cannot be picked"),
            },
        };
        let is_told = request.method == Method::Get;
        let url = format!("http://{local}/{}", request.path);
        let text = match asked.plan(picked.as_ref(), is_told) {
            Plan::Boot(plan) => {
                let arguments = asked.arguments(&plan, is_told);
                let timelines = self.daemon.timelines();
                let drivers = timelines.current(client).map(|now| now.facts.drivers);
                script::Script {
                    arguments: &arguments,
                    kernel_arguments: &plan.kernel_arguments,
                    all_drivers: drivers == Some(Drivers::All),
                }
                .render()
            }
            Plan::Menu => {
                let memtest = format!("http://{local}/loader/");
                asked.menu(&url, &memtest, |menu| menu.render())
            }
            Plan::LocalDisk | Plan::Unanswered => {
                if is_told {
                    self.daemon.learn(client, |facts| facts.own_disk = true);
                }
                script::local_disk().to_owned()
            }
            Plan::Nothing(reason) => {
                self.daemon.failed(client, Stage::Kernel, &reason);
                script::nothing(&reason, &url)
            }
        };
        Answer::generated("text/plain", text.into_bytes())
    }
}
