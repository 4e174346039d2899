//! HTTP, asked by curl.

use std::fs;

use anyhow::{Context, Result, ensure};
use integration::clients::http::curl;
use integration::roots::Root;
use integration::{Client, Lab, Server, in_lab_with_small};

fn serving(test: impl FnOnce(&Lab, &Client, &Root) -> Result<()>) {
    in_lab_with_small(Server::start, |lab, _, client, small| {
        test(lab, client, small)
    });
}

/// The URL behind `word` in the client's boot script.
fn url_in_script(lab: &Lab, client: &Client, word: &str) -> Result<String> {
    let path = format!("/boot/{}.ipxe", client.mac().replace(':', "-"));
    let script = curl(lab, client, &path, &[])?;
    ensure!(script.status == 200, "{path}: {}", script.headers);
    let text = script.text();
    ensure!(text.starts_with("#!ipxe"), "not a script: {text}");
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(word));
    let url = line.and_then(|line| line.split_whitespace().find(|word| word.contains("://")));
    Ok(url
        .with_context(|| format!("no {word} in {text}"))?
        .to_owned())
}

#[test]
fn the_script_leads_to_the_kernel_of_the_image() {
    serving(|lab, client, root| {
        let kernel = curl(lab, client, &url_in_script(lab, client, "kernel")?, &[])?;
        ensure!(kernel.status == 200);
        ensure!(kernel.body == fs::read(root.kernel()?)?, "another kernel");
        let initrd = curl(lab, client, &url_in_script(lab, client, "initrd")?, &[])?;
        ensure!(initrd.status == 200 && initrd.body.len() > 100_000);
        Ok(())
    });
}

#[test]
fn head_says_the_length_and_sends_nothing() {
    serving(|lab, client, root| {
        let head = curl(
            lab,
            client,
            &url_in_script(lab, client, "kernel")?,
            &["--head"],
        )?;
        ensure!(head.status == 200);
        let length = fs::metadata(root.kernel()?)?.len().to_string();
        ensure!(
            head.header("content-length") == Some(&length),
            "{}",
            head.headers
        );
        Ok(())
    });
}

#[test]
fn a_range_is_that_part_of_the_file() {
    serving(|lab, client, root| {
        let url = url_in_script(lab, client, "kernel")?;
        let whole = fs::read(root.kernel()?)?;
        let end = whole.len();
        for (range, expected) in [
            ("0-99", &whole[..100]),
            ("1000-1999", &whole[1000..2000]),
            (&format!("{}-", end - 7), &whole[end - 7..]),
        ] {
            let part = curl(lab, client, &url, &["--range", range])?;
            ensure!(part.status == 206, "{range}: {}", part.headers);
            ensure!(part.body == expected, "{range}: other bytes");
        }
        Ok(())
    });
}

#[test]
fn what_is_not_there_is_404_and_what_is_outside_is_not_there() {
    serving(|lab, client, _| {
        for path in [
            "/no-such-file",
            "/images/no-such-image/x/vmlinuz",
            "/../../../../../../../etc/passwd",
            "/images/../../../../../../../etc/passwd",
            "/loader/..%2f..%2f..%2f..%2f..%2fetc/passwd",
            "/images/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        ] {
            let answer = curl(lab, client, path, &[])?;
            ensure!(
                matches!(answer.status, 400 | 403 | 404),
                "{path}: {}",
                answer.headers
            );
            ensure!(
                !answer.text().contains("root:"),
                "{path} shows a file of the server"
            );
        }
        Ok(())
    });
}
