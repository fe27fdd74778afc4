// Turns words in a ring: word by_i comes first, and after the last comes the first.
//
//   W, N   bits of a word, words
//
// Every word that goes out is one of N by a tree of choices, which have no word in common, so that a LUT takes two levels.
//
// Timing: combinational.

`default_nettype none

module hwflow_turn #(
    parameter int W     = 8,
    parameter int N     = 3,
    localparam int BY_W = (N > 1) ? $clog2(N) : 1
) (
    input  wire [ N*W-1:0] data_i,
    input  wire [BY_W-1:0] by_i,  // less than N
    output wire [ N*W-1:0] data_o
);

    localparam int LEAVES = 1 << BY_W;

    if (W < 1 || N < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_turn: W (%0d) and N (%0d) must be positive", W, N);
    end

    for (genvar place = 0; place < N; place++) begin : gen_place
        // A heap: node i is one of nodes 2i+1 and 2i+2, the last LEAVES are words.
        for (genvar i = 2 * LEAVES - 2; i >= 0; i--) begin : gen_node
            wire [W-1:0] word;
            if (i >= LEAVES - 1) begin : gen_leaf
                localparam int BY = (i - (LEAVES - 1) < N) ? i - (LEAVES - 1) : N - 1;
                assign word = data_i[((place+BY)%N)*W+:W];
            end else begin : gen_choice
                localparam int BIT = BY_W - $clog2(i + 2);
                assign word = by_i[BIT] ? gen_node[2*i+2].word : gen_node[2*i+1].word;
            end
        end
        assign data_o[place*W+:W] = gen_node[0].word;
    end

endmodule

`default_nettype wire
