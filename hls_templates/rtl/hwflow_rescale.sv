// Multiplication by a constant per channel: y = cast(x * m), the product exact. It aligns the scale of
// one input of an Add, and divides the logits by the total scale.
//
//   LANES        elements of a beat
//   CHANNELS     channels of a pixel, CHANNELS / LANES beats
//   IN_* OUT_*   types of x and y, see hwflow_cast
//   M_W, M_FRAC  type of the constants, unsigned
//   UNIFORM      1: M is a single constant for all channels
//   M            the constants, channel 0 in the least significant bits
//   LOADABLE     1: port B, mb_*, reads and writes them at any time; M is what they are at first. Word i has those of beat
//                i, that of lane 0 in the least significant bits; a single constant is one word
//
// The product of a wide x is the sum of two, of its lowest 17 bits and of the others, so that each is one multiplier.
//
// Timing: 6 cycles (operands, products, sum, cast, and hwflow_catch), one beat a cycle; s_tready comes from a register.
// The channel of a beat is counted from reset. Port B 1 cycle; it holds its output while it is not enabled.

`default_nettype none

module hwflow_rescale #(
    parameter int LANES      = 1,
    parameter int CHANNELS   = 2,
    parameter int IN_W       = 16,
    parameter int IN_FRAC    = 10,
    parameter int IN_SIGNED  = 1,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 2,
    parameter int OVERFLOW   = 1,
    parameter int M_W        = 8,
    parameter int M_FRAC     = 7,
    parameter int UNIFORM    = 0,
    parameter logic [((UNIFORM != 0) ? 1 : CHANNELS)*M_W-1:0] M = 1,
    parameter int LOADABLE   = 0,
    localparam int BEATS     = (LANES > 0) ? CHANNELS / LANES : 1,
    localparam int WORDS     = (UNIFORM != 0) ? 1 : BEATS,
    localparam int WORD_W    = (UNIFORM != 0) ? M_W : LANES * M_W,
    localparam int MADDR_W   = (LOADABLE != 0 && WORDS > 1) ? $clog2(WORDS) : 1,
    localparam int MEM_W     = (LOADABLE != 0) ? WORD_W : 1
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [ LANES*IN_W-1:0] s_tdata,
    input  wire                    s_tvalid,
    output logic                   s_tready,

    output logic [LANES*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready,

    input  wire                    mb_en_i,
    input  wire                    mb_we_i,
    input  wire  [    MADDR_W-1:0] mb_addr_i,
    input  wire  [      MEM_W-1:0] mb_wdata_i,
    output logic [      MEM_W-1:0] mb_rdata_o
);

    localparam int BEAT_W    = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int PRODUCT_W = IN_W + M_W + 1;  // of a signed x and an unsigned m, and either way round
    localparam int LOW_W     = (IN_W > 18) ? 17 : IN_W;
    localparam int DONE_AT   = 4;
    localparam logic [BEAT_W-1:0] LAST = BEAT_W'(BEATS - 1);

    if (LANES < 1 || CHANNELS < 1 || CHANNELS % LANES != 0) begin : gen_error_lanes
        initial $fatal(1, "hwflow_rescale: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
    end
    if (M_W < 1 || UNIFORM < 0 || UNIFORM > 1) begin : gen_error_constant
        initial $fatal(1, "hwflow_rescale: M_W (%0d) must be positive and UNIFORM 0 or 1", M_W);
    end

    logic [BEAT_W-1:0] beat_reg;

    // --- The constants of the beat.

    wire [WORD_W-1:0] word;

    if (LOADABLE != 0 && WORDS == 1) begin : gen_register
        logic [WORD_W-1:0] word_reg;

        initial word_reg = M;
        assign word = word_reg;

        always_ff @(posedge clk_i) begin
            if (mb_en_i) begin
                if (mb_we_i) word_reg <= mb_wdata_i;
                mb_rdata_o <= word_reg;
            end
        end

        wire unused_address = &{1'b0, mb_addr_i};
    end else if (LOADABLE != 0) begin : gen_ram
        (* ram_style = "distributed", syn_ramstyle = "distributed", no_rw_check *)
        logic [WORD_W-1:0] ram [0:WORDS-1];

        initial for (int i = 0; i < WORDS; i++) ram[i] = M[i*WORD_W+:WORD_W];

        assign word = ram[beat_reg];

        always_ff @(posedge clk_i) begin
            if (mb_en_i) begin
                if (mb_we_i) ram[mb_addr_i] <= mb_wdata_i;
                mb_rdata_o <= ram[mb_addr_i];
            end
        end
    end else begin : gen_constants
        if (WORDS > 1) begin : gen_words
            wire [WORD_W-1:0] rom [0:WORDS-1];
            for (genvar beat = 0; beat < WORDS; beat++) begin : gen_rom
                assign rom[beat] = M[beat*WORD_W+:WORD_W];
            end
            assign word = rom[beat_reg];
        end else begin : gen_word
            assign word = M;
        end

        wire unused_port_b = &{1'b0, mb_en_i, mb_we_i, mb_addr_i, mb_wdata_i};
        assign mb_rdata_o = '0;
    end

    // --- Operands, products, their sum, one cast.

    wire take = s_tvalid && s_tready;
    logic [DONE_AT-1:0] valid_reg;
    wire [LANES*OUT_W-1:0] y;

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
        logic signed [IN_W:0] x_reg;
        logic signed [M_W:0] m_reg;
        logic signed [PRODUCT_W-1:0] product_reg;

        always_ff @(posedge clk_i) begin
            x_reg <= {(IN_SIGNED != 0) && s_tdata[(lane+1)*IN_W-1], s_tdata[lane*IN_W+:IN_W]};
            m_reg <= {1'b0, word[((UNIFORM != 0) ? 0 : lane)*M_W+:M_W]};
        end

        if (LOW_W < IN_W) begin : gen_split
            wire signed [LOW_W:0] x_low = {1'b0, x_reg[LOW_W-1:0]};
            wire signed [IN_W-LOW_W:0] x_high = x_reg[IN_W:LOW_W];
            logic signed [LOW_W+M_W:0] low_reg;
            logic signed [PRODUCT_W-LOW_W-1:0] high_reg;

            always_ff @(posedge clk_i) begin
                low_reg     <= x_low * m_reg;
                high_reg    <= x_high * m_reg;
                product_reg <= (PRODUCT_W'(high_reg) <<< LOW_W) + PRODUCT_W'(low_reg);
            end
        end else begin : gen_whole
            logic signed [PRODUCT_W-1:0] whole_reg;

            always_ff @(posedge clk_i) begin
                whole_reg   <= x_reg * m_reg;
                product_reg <= whole_reg;
            end
        end

        hwflow_cast #(
            .IN_W(PRODUCT_W), .IN_FRAC(IN_FRAC + M_FRAC), .IN_SIGNED(1),
            .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED),
            .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW), .REGISTER(1)
        ) cast_lane (
            .clk_i(clk_i),
            .code_i(product_reg),
            .code_o(y[lane*OUT_W+:OUT_W])
        );
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg  <= '0;
            valid_reg <= '0;
        end else begin
            if (take) beat_reg <= (beat_reg == LAST) ? '0 : beat_reg + 1'b1;
            valid_reg <= {valid_reg[DONE_AT-2:0], take};
        end
    end

    hwflow_catch #(
        .WIDTH (LANES * OUT_W),
        .DEPTH (DONE_AT + 5)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (take),
        .room_o   (s_tready),
        .valid_i  (valid_reg[DONE_AT-1]),
        .data_i   (y),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
