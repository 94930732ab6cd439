//! The stories that are played with each kind of provider.

macro_rules! stories {
    ($kind:expr) => {
        #[test]
        fn a_host_gets_its_address_and_reaches_the_internet() {
            story::start($kind);
        }

        #[test]
        fn a_graceful_renumbering_reaches_the_host() {
            story::graceful($kind);
        }

        #[test]
        fn a_flash_renumbering_reaches_the_host() {
            story::flash($kind);
        }

        #[test]
        fn a_change_of_the_delegation_alone_is_found_at_renewal() {
            story::delegation_alone($kind);
        }

        #[test]
        fn a_change_of_the_delegation_alone_is_found_on_command() {
            story::delegation_alone_on_command($kind);
        }

        #[test]
        fn a_change_of_the_link_prefix_alone_is_invisible_to_hosts() {
            story::link_prefix_alone($kind);
        }

        #[test]
        fn an_upstream_router_comes_back_with_other_prefixes_as_another_server() {
            story::upstream_reboots($kind);
        }

        #[test]
        fn a_redial_while_the_link_was_down_reaches_the_host() {
            story::redial_with_link_down($kind);
        }

        #[test]
        fn a_link_that_was_down_for_a_moment_costs_a_rebind_and_no_change() {
            story::link_flap($kind);
        }

        #[test]
        fn a_server_that_learns_right_after_its_router_is_followed() {
            story::server_learns_late($kind, secs(0));
        }

        #[test]
        fn a_server_that_learns_50_ms_after_its_router_is_followed() {
            story::server_learns_late($kind, millis(50));
        }

        #[test]
        fn a_server_that_learns_2_s_after_its_router_is_followed() {
            story::server_learns_late($kind, secs(2));
        }

        #[test]
        fn a_server_that_learns_10_s_after_its_router_is_followed() {
            story::server_learns_late($kind, secs(10));
        }

        #[test]
        fn killed_during_changes_it_ends_where_it_would_have() {
            story::killed_during_a_change($kind, &[]);
        }

        /// As on a kernel before 5.18, which ignores IFA_PROTO.
        #[test]
        fn killed_during_changes_without_marks_it_ends_where_it_would_have() {
            story::killed_during_a_change($kind, &["--no-address-protocol"]);
        }
    };
}
