// Formal only: hwflow_decode_secded corrects any single error of a codeword and detects any double one, here of the
// codeword whose data are ones; proof_translation says that all codewords are alike.
//
//   CHECKS   the check bits of that codeword

`default_nettype none

module proof_secded #(
    parameter int W_W       = 8,
    parameter int ON_DOUBLE = 0,
    parameter logic [7:0] CHECKS = '0,
    localparam int DATA_W   = (64 / W_W) * W_W
) (
    input wire              clk_i,
    input wire [DATA_W+7:0] error_i
);

    // The input holds for the two cycles of the decoder.
    logic [DATA_W+7:0] error_reg;
    logic [1:0] cycle_reg;
    initial cycle_reg = 2'd0;
    always_ff @(posedge clk_i) begin
        error_reg <= error_i;
        if (cycle_reg != 2'd2) cycle_reg <= cycle_reg + 1'b1;
    end

    wire [DATA_W-1:0] data;

    hwflow_decode_secded #(.W_W(W_W), .ON_DOUBLE(ON_DOUBLE)) cell_under_proof (
        .clk_i(clk_i), .en_i(1'b1), .data_i({CHECKS, {DATA_W{1'b1}}} ^ error_i), .data_o(data)
    );

    wire [DATA_W+7:0] without_lowest = error_i & (error_i - 1'b1);
    wire none_or_one = without_lowest == '0;
    wire two = !none_or_one && (without_lowest & (without_lowest - 1'b1)) == '0;

    always @(posedge clk_i) begin
        assume (none_or_one || two);
        if (cycle_reg != 0) assume (error_i == error_reg);
        if (cycle_reg == 2) begin
            if (none_or_one) corrects_one: assert (data == {DATA_W{1'b1}});
            if (two) detects_two: assert (data == ((ON_DOUBLE != 0) ? ~error_i[DATA_W-1:0] : {DATA_W{1'b0}}));
        end
    end

endmodule

`default_nettype wire
