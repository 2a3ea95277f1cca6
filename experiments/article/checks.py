"""All exact checks of the claims: what needs no study, by the names that rules use."""

from . import code_checks, expressions, law_checks, starts, students

CHECKS = {
    check.__name__: check
    for check in (
        starts.threshold_of_a_bias,
        starts.biases_of_keras,
        starts.biases_of_others,
        starts.weights_that_differ,
        starts.weights_beyond_one,
        starts.kernels_that_depend_on_depth,
        starts.kernels_that_depend_on_width,
        starts.xavier_variances,
        starts.parameters_of_zeros,
        starts.operations_of_zeros,
        law_checks.distance_to_law,
        law_checks.mean_of_uniform,
        law_checks.mean_of_gaussian,
        law_checks.range_scatter,
        law_checks.size_scatter,
        law_checks.xavier_std,
        law_checks.xavier_means,
        law_checks.xavier_distance_to_normal,
        law_checks.xavier_by_neurons,
        law_checks.xavier_by_channels,
        law_checks.xavier_from_shapes,
        law_checks.xavier_on_input_laws,
        expressions.expression_for_uniform,
        expressions.expression_for_gaussian,
        expressions.expression_for_xavier,
        students.distance_in_a_linear_net,
        students.unexplained_in_a_relu_net,
        students.gain_of_uniform_inputs,
        students.spread_of_estimates,
        code_checks.snippet_zeros,
        code_checks.snippet_random,
        code_checks.snippet_glorot,
    )
}
