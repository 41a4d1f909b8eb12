//! The list of all cases.

/// Runs every case over a fresh engine: `storage_conformance!(open)`, where `open` names an
/// `async fn() -> Storage`, or `-> Fixture` where something must outlive the engine, or
/// `-> Option<Fixture>` where the engine may be absent and the cases are skipped then.
#[macro_export]
macro_rules! storage_conformance {
    ($open:ident) => {
        $crate::storage_conformance! { @cases $open;
            catalog: a_new_engine_is_empty, created_schemas_are_loaded_by_name,
                a_schema_is_created_once, describing_keeps_records,
                a_change_from_an_old_version_is_refused, dropping_frees_the_name,
                an_unknown_schema_is_not_found, writes_against_a_moved_schema_are_refused,
                ensuring_changes_nothing;
            evolution: added_properties_have_their_defaults, renaming_keeps_values,
                dropping_forgets_values, types_change_exactly, records_in_the_way_are_told,
                uniqueness_comes_and_goes, only_so_many_examples_are_told,
                append_only_comes_and_goes, writes_of_the_version_before_do_not_land,
                every_version_is_kept;
            histories: random_changes_match_the_reference;
            values: every_value_comes_back_to_the_bit, every_value_survives_a_replace,
                required_and_optional_properties_come_back;
            execute: a_write_is_read_at_once, a_replace_keeps_identity, deletes_remove,
                a_version_mismatch_is_named, a_missing_record_is_named,
                operations_see_earlier_ones, a_list_across_schemas_fails_whole,
                assertions_guard_a_list, unique_values_are_kept,
                a_violation_names_no_other_record,
                nulls_and_own_values_do_not_collide;
            concurrency: one_failing_call_fails_alone, one_replace_wins_each_version,
                calls_go_on_around_a_session, calls_of_one_task_keep_their_order;
            isolation: lists_are_seen_whole, failed_lists_are_never_seen,
                lists_do_not_see_each_other,
                lists_that_look_at_each_other_are_in_a_row,
                lists_that_look_for_each_other_are_in_a_row;
            moments: a_question_sees_one_moment, what_was_seen_is_not_unseen;
            sessions: nothing_is_seen_before_the_commit, dropping_a_session_leaves_nothing,
                many_batches_are_one_write, an_empty_session_commits,
                a_duplicate_undoes_the_session, a_large_session_is_whole,
                settling_tells_what_the_commit_will, further_records_join_the_commit,
                a_taken_further_record_undoes_the_session,
                an_undone_session_adds_nothing_further,
                who_does_not_wait_is_refused;
            modes: upsert_adds_or_replaces, ignore_keeps_the_first, update_sets_what_is_given,
                each_record_sets_its_own, parts_need_their_key_alone, delete_removes_by_key, a_missing_key_undoes_the_session,
                later_records_see_earlier_ones, an_upsert_keeps_other_unique_values;
            refusals: taken_values_are_left_out, undone_sessions_tell_all, only_so_many_are_told,
                missing_keys_are_left_out, changes_that_take_other_values_are_left_out,
                ids_are_told_in_order, a_session_fails_at_the_first;
            questions: records_match_the_reference, answers_do_not_contradict,
                figures_match_the_reference;
            random: records_with_different_keys, records_with_the_same_keys;
            filters: comparisons_on_every_type, nulls_are_unknown, trees_are_three_valued,
                system_fields_are_filtered, patterns_match_as_defined, text_parts_match_literally,
                lists_of_any_length_are_searched, items_are_found, negative_zero_equals_zero;
            order: every_type_is_sorted, text_is_sorted_by_code_point, ties_go_by_id,
                several_keys_are_sorted, offset_and_limit_cut_the_order,
                pages_add_up_to_the_whole, pages_start_after_a_descending_position;
            reads: get_answers_what_is_there, get_takes_many_ids, selections_narrow_the_answer,
                counts_are_exact, an_empty_schema_answers_nothing,
                an_answer_ends_where_it_takes_too_much;
            streams: a_stream_is_one_snapshot, a_dropped_stream_is_freed,
                an_unordered_stream_is_complete;
            aggregates: every_metric_of_a_group, groups_of_nothing, dates_fall_into_periods,
                widths_fall_into_buckets, having_sort_and_limit, sums_of_integers_do_not_overflow;
            sequences: it_rises_with_every_write, it_rises_under_concurrency,
                a_records_own_rises_with_every_change_of_it;
            append_only: records_are_only_added, changes_are_unsupported;
        }
    };
    (@cases $open:ident; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(#[test]
            fn $case() {
                $crate::conformance::run(
                    async || super::$open().await,
                    $crate::conformance::$module::$case,
                );
            })+
        })+
    };
}
