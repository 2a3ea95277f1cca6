"""The fast lane: the tests that `pytest -m fast` runs, a few of every part.

They are named here and nowhere marked, so that what the lane takes can be read, and
cut, in one place; a file that is not here is not even imported.
"""

# By file: all of its tests, or those of these names; `name[parameters]` is one case.
ALL = None
FAST = {
    "advice/test_agreement.py": {"test_an_interval_is_of_families"},
    "answers/test_claims.py": ALL,
    "answers/test_comparison.py": {"test_pairs_hold_diverged_members_as_chance"},
    "answers/test_decision.py": {"test_a_clear_winner_is_the_best_where_it_learns"},
    "answers/test_statistics.py": {"test_students_own_example"},
    "api/test_compare.py": {
        "test_the_result_says_the_answer_and_holds_the_records",
        "test_times_are_read_with_their_units",
    },
    "diagnosis/test_layer_table.py": {"test_every_activation_is_named"},
    "benchmarks/test_benchmarks.py": {"test_ratios_are_taken_round_by_round"},
    "cluster/test_hosts.py": {"test_what_fails_in_one_is_said_in_all"},
    "cluster/test_place.py": {"test_flags_say_all", "test_slurm_says_all"},
    "cli/test_catalogue.py": ALL,
    "cli/test_options.py": ALL,
    "cli/test_summaries.py": ALL,
    "conv/test_conv.py": {
        "test_gradients_in_blocks_are_the_whole_batchs",
        "test_shapes_and_types_that_do_not_fit_are_named",
    },
    "conv/test_lowering.py": {"test_xlas_form_is_the_function_itself"},
    "conv/test_pooling.py": {"test_the_first_of_equal_values_gets_all"},
    "conv/test_winograd.py": {"test_the_transforms_correlate"},
    "data/test_batches.py": {
        "test_the_whole_data_can_be_one_batch",
        "test_standardized_images_have_mean_0_and_variance_1",
    },
    "data/test_data.py": ALL,
    "engine/test_members.py": {
        "test_executions_are_read_from_text",
        "test_a_width_beyond_the_members_is_said",
    },
    "engine/test_population.py": {
        "test_chunks_are_always_full",
        "test_every_seed_and_stream_has_its_own_key",
    },
    "experiments/test_article.py": {"test_there_are_all_63_claims_once"},
    "faults/test_matrix.py": {
        "test_all_rows_are_there",
        "test_what_is_wrong_is_counted_and_can_be_repeated",
    },
    "initializers/test_initializers.py": {
        "test_fans_count_the_connections",
        "test_he_keeps_the_mean_square_through_leaky_relu",
        "test_what_is_no_law_is_said_in_a_line",
    },
    "initializers/test_structured.py": {
        "test_identity_passes_the_image_on",
        "test_looks_linear_is_linear_through_relu",
    },
    "instruments/test_layer_statistics.py": {"test_copies_are_counted_by_their_bits"},
    "mean_field/test_predict.py": {"test_what_is_not_known_is_named"},
    "models/test_models.py": {"test_what_cannot_be_is_said"},
    "models/test_every_model.py": {
        "test_it_gives_one_logit_per_class[lenet]",
        "test_every_model_is_here",
    },
    "network/test_adapters.py": {"test_what_is_no_module_is_one_line"},
    "network/test_branch_scalars.py": {"test_a_plain_net_has_no_branch_to_add_to"},
    "network/test_layers.py": {"test_branches_and_shortcuts"},
    "network/test_network.py": {"test_layers_in_order_with_true_fans"},
    "network/test_stacks.py": {"test_loops_in_loops_are_unrolled"},
    "report/test_injection.py": {"test_what_a_template_asks_for_must_be_there"},
    "report/test_report.py": {"test_columns_are_aligned"},
    "schemes/test_schemes.py": {
        "test_every_kernel_has_the_law_of_its_layer[he_normal]",
        "test_per_layer_takes_rules_initializers_and_a_law_for_the_head",
    },
    "schemes/test_data_schemes.py": {"test_costs_and_needs_are_said"},
    "schemes/test_scheme_texts.py": {"test_texts_that_mean_the_same"},
    "store/test_store.py": {
        "test_records_come_back_as_they_were",
        "test_a_torn_last_line_is_no_record_and_is_cut_off",
    },
    "study/test_study.py": ALL,
    "test_activations.py": {"test_what_cannot_be_is_said"},
    "test_architecture.py": ALL,
    "test_docs.py": {"test_every_link_between_sources_leads_somewhere"},
    "test_examine.py": {"test_a_folder_of_other_files_is_left_alone"},
    "test_extras.py": {"test_requirements_say_what_the_project_says"},
    "test_race.py": {"test_what_cannot_be_raced_is_one_line_and_nothing_is_written"},
    "test_readme.py": {"test_every_file_that_is_named_is_there"},
    "test_run.py": {
        "test_a_finished_study_does_nothing_again",
        "test_every_member_and_evaluation_is_recorded",
    },
    "test_suite.py": ALL,
    "test_traps.py": {"test_constants_stay_symmetric"},
    "theory/test_gain_table.py": {"test_the_constants_of_the_table"},
    "theory/test_theory.py": {"test_padding_gain_has_its_closed_forms_and_limits"},
    "zoo/test_zoo.py": {
        "test_fans_are_what_the_operation_has_on_average[decoder]",
        "test_what_follows_is_recognized_or_said_not_to_be[mobilenet]",
    },
}


def is_fast(path, name):
    """Whether a test is in the lane.

    Args:
        path: of its file, below `tests/`.
        name: with its parameters.
    """
    names = FAST.get(path, set())
    return names is ALL or bool(names & {name, name.partition("[")[0]})
