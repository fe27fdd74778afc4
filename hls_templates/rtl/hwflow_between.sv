// Whether a count lies between two constants: FROM <= x < TO.
//
//   W         bits of the count
//   FROM, TO  0 <= FROM, TO < 2**W
//
// Timing: combinational.

`default_nettype none

module hwflow_between #(
    parameter int W    = 4,
    parameter int FROM = 1,
    parameter int TO   = 3
) (
    input  wire [W-1:0] x_i,
    output wire         between_o
);

    if (W < 1 || W > 31 || FROM < 0 || FROM >= 1 << W || TO < 0 || TO >= 1 << W) begin : gen_error_size
        initial $fatal(1, "hwflow_between: FROM (%0d) and TO (%0d) must fit into W (%0d) bits", FROM, TO, W);
    end

    wire from;
    wire to;

    if (FROM == 0) begin : gen_from_start
        assign from = 1'b1;
    end else begin : gen_from
        assign from = x_i >= W'(FROM);
    end
    if (TO == 0) begin : gen_none
        assign to = 1'b0;
    end else begin : gen_to
        assign to = x_i < W'(TO);
    end

    assign between_o = from && to;

endmodule

`default_nettype wire
