// Cell of the configuration ring at a decoder: counts stored words that were read with errors.
//
//   ADDR_W   bits of a word's address in the ring, see hwflow_axil
//   BASE     address of the words corrected, even; behind it that of the words with errors that were not
//   FLAGS    words that are read at once
//
// Counters of 32 bits, which wrap; a write sets one. An exclusive or is refused.
//
// Timing: 1 cycle for every message. A word counts two cycles after its flag.

`default_nettype none

module hwflow_cfg_errors #(
    parameter int ADDR_W = 10,
    parameter int BASE   = 64,
    parameter int FLAGS  = 4,
    localparam int CFG_W = ADDR_W + 35
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire  [CFG_W-1:0] cfg_i,
    output logic [CFG_W-1:0] cfg_o,

    input  wire  [FLAGS-1:0] corrected_i,
    input  wire  [FLAGS-1:0] uncorrectable_i
);

    localparam int SUM_W = $clog2(FLAGS + 1);
    localparam logic [1:0] WRITE = 2'd1, XOR = 2'd2, ANSWER = 2'd3;

    if (FLAGS < 1 || ADDR_W < 2 || BASE < 0 || BASE % 2 != 0 || BASE >> ADDR_W != 0) begin : gen_error_size
        initial $fatal(1, "hwflow_cfg_errors: FLAGS (%0d) must be positive, BASE (%0d) even and fit ADDR_W (%0d)", FLAGS,
                       BASE, ADDR_W);
    end

    logic [31:0] corrected_reg, uncorrectable_reg;
    logic [SUM_W-1:0] corrected_sum, uncorrectable_sum, corrected_sum_reg, uncorrectable_sum_reg;

    always_comb begin
        corrected_sum     = '0;
        uncorrectable_sum = '0;
        for (int i = 0; i < FLAGS; i++) begin
            corrected_sum     = corrected_sum + SUM_W'(corrected_i[i]);
            uncorrectable_sum = uncorrectable_sum + SUM_W'(uncorrectable_i[i]);
        end
    end

    wire [1:0] op = cfg_i[CFG_W-2-:2];
    wire second = cfg_i[32];
    wire hit = cfg_i[CFG_W-1] && op != ANSWER && cfg_i[33+:ADDR_W-1] == (ADDR_W - 1)'(BASE / 2);
    wire write = hit && op == WRITE;
    wire refused = op == XOR;

    always_ff @(posedge clk_i) begin
        cfg_o[CFG_W-2:0] <= !hit ? cfg_i[CFG_W-2:0] :
                            {ANSWER, {(ADDR_W - 1) {1'b0}}, refused,
                             refused ? 32'd0 : second ? uncorrectable_reg : corrected_reg};
        if (!rst_ni) begin
            cfg_o[CFG_W-1]        <= 1'b0;
            corrected_sum_reg     <= '0;
            uncorrectable_sum_reg <= '0;
            corrected_reg         <= '0;
            uncorrectable_reg     <= '0;
        end else begin
            cfg_o[CFG_W-1]        <= cfg_i[CFG_W-1];
            corrected_sum_reg     <= corrected_sum;
            uncorrectable_sum_reg <= uncorrectable_sum;
            corrected_reg         <= (write && !second) ? cfg_i[31:0] : corrected_reg + 32'(corrected_sum_reg);
            uncorrectable_reg     <= (write && second) ? cfg_i[31:0] : uncorrectable_reg + 32'(uncorrectable_sum_reg);
        end
    end

endmodule

`default_nettype wire
