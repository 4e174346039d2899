//! What is said of clients and groups.

use model::{BootChoice, Settings};

use super::loaded;
use crate::KeyPath;

#[test]
fn groups_keep_the_order_of_the_file() {
    let loaded = loaded(
        "[groups.zoo]\nmembers = [\"*\"]\n[groups.ant]\ninclude = [\"zoo\"]\nimage = \"demo@abcd\"\n",
    );
    let groups = &loaded.config.groups;
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["zoo", "ant"]);
    assert_eq!(groups[1].include, ["zoo"]);
    assert_eq!(
        groups[1].settings.boot,
        Some("demo@abcd".parse::<BootChoice>().unwrap())
    );
    assert_eq!(groups[0].settings, Settings::default());
}

#[test]
fn no_users_is_not_the_same_as_all_users() {
    let loaded = loaded("[groups.kiosk]\nusers = []\n[groups.desk]\n");
    assert_eq!(loaded.config.groups[0].settings.users, Some(vec![]));
    assert_eq!(loaded.config.groups[1].settings.users, None);
}

#[test]
fn the_line_of_each_setting_is_known() {
    let loaded = loaded("[groups.GPU]\nmembers = [\"*\"]\nroot = \"ram\"\n");
    let path = loaded.group("gpu").child("root");
    let setting = loaded.setting(&path).unwrap();
    assert_eq!(
        (&*setting.value, &*setting.origin),
        ("\"ram\"", "lab.toml:3")
    );
    assert_eq!(
        loaded.setting(&KeyPath::new(["groups", "GPU", "image"])),
        None
    );
}
