// Delay line: what goes in comes out STAGES enabled cycles later.
//
//   WIDTH     bits of a word
//   STAGES    registers; 0 is a wire
//
// No reset: the words of before stay, and whoever needs to know delays a valid bit beside them.
//
// Timing: STAGES cycles with en_i; data_o holds without it.

`default_nettype none

module hwflow_delay #(
    parameter int WIDTH  = 8,
    parameter int STAGES = 1
) (
    input  wire              clk_i,
    input  wire              en_i,
    input  wire  [WIDTH-1:0] data_i,
    output logic [WIDTH-1:0] data_o
);

    if (WIDTH < 1 || STAGES < 0) begin : gen_error_size
        initial $fatal(1, "hwflow_delay: WIDTH (%0d) must be positive, STAGES (%0d) not negative", WIDTH, STAGES);
    end

    if (STAGES == 0) begin : gen_wire
        wire unused_clock = &{1'b0, clk_i, en_i};
        assign data_o = data_i;
    end else begin : gen_line
        for (genvar i = 0; i < STAGES; i++) begin : gen_stage
            logic [WIDTH-1:0] word_reg;
            if (i == 0) begin : gen_first
                always_ff @(posedge clk_i) if (en_i) word_reg <= data_i;
            end else begin : gen_next
                always_ff @(posedge clk_i) if (en_i) word_reg <= gen_stage[i-1].word_reg;
            end
        end
        assign data_o = gen_stage[STAGES-1].word_reg;
    end

endmodule

`default_nettype wire
