// Delay line of words that are CYCLES enabled cycles apart or more: what goes in comes out STAGES enabled cycles later.
//
//   WIDTH     bits of a word
//   STAGES    enabled cycles
//   CYCLES    from a word to the next one, at least
//
// A word stays in a register for CYCLES cycles, until the one after it may come, so that there are STAGES / CYCLES
// registers, rounded up. start_i, only with en_i, says that data_i is a word; it is delayed beside them. No reset: the
// words of before stay, and never meet those after them, which are behind.
//
// Timing: STAGES cycles with en_i from start_i to the one in which data_o has the word; no other shows it for sure.

`default_nettype none

module hwflow_delay_words #(
    parameter int WIDTH  = 8,
    parameter int STAGES = 20,
    parameter int CYCLES = 8
) (
    input  wire              clk_i,
    input  wire              en_i,
    input  wire              start_i,
    input  wire  [WIDTH-1:0] data_i,
    output logic [WIDTH-1:0] data_o
);

    localparam int WORDS = (STAGES + CYCLES - 1) / CYCLES;

    if (WIDTH < 1 || STAGES < 1 || CYCLES < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_delay_words: WIDTH (%0d), STAGES (%0d) and CYCLES (%0d) must be positive",
                       WIDTH, STAGES, CYCLES);
    end

    for (genvar i = 0; i < WORDS; i++) begin : gen_word
        wire load;
        logic [WIDTH-1:0] word_reg;
        if (i == 0) begin : gen_first
            assign load = start_i;
            always_ff @(posedge clk_i) if (en_i && load) word_reg <= data_i;
        end else begin : gen_next
            hwflow_delay #(
                .WIDTH  (1),
                .STAGES (CYCLES)
            ) load_line (
                .clk_i  (clk_i),
                .en_i   (en_i),
                .data_i (gen_word[i-1].load),
                .data_o (load)
            );
            always_ff @(posedge clk_i) if (en_i && load) word_reg <= gen_word[i-1].word_reg;
        end
    end

    assign data_o = gen_word[WORDS-1].word_reg;

endmodule

`default_nettype wire
