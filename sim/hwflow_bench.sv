// The bench of a whole network: a source that streams images in, the design, a sink that captures what
// comes out. Python wakes only for faults and at the end.

`default_nettype none

module hwflow_bench #(
    parameter int IN_BITS   = 8,
    parameter int IN_DEPTH  = 64,
    parameter int IN_BEATS  = 64,
    parameter int OUT_BITS  = 16,
    parameter int OUT_DEPTH = 10,
    parameter int OUT_BEATS = 10
);
endmodule

`default_nettype wire
